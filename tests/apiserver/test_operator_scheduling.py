"""Whose turn it is, seen on a real API server with real runners: orgs, quotas, yields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_BATCHES
from tests.apiserver.operator_support import Fleet, batches, operating, phases, wait_for_phase
from tests.apiserver.runner_support import World, eventually, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def test_a_long_batch_yields_to_somebody_much_more_urgent_and_is_gone_on_with(world: World) -> None:
    world.target(driver=simulate(test=1))
    for number in range(16):
        world.job(f"nightly-{number:02d}", priority=1)

    with operating(world), Fleet(world):
        eventually(lambda: "Succeeded" in phases(world).values(), lambda: phases(world))
        world.job("urgent", appVersionId="hotfix", priority=10)
        eventually(lambda: phases(world)["urgent"] == "Succeeded", lambda: phases(world))
        waited = [name for name, phase in phases(world).items() if phase != "Succeeded"]
        wait_for_phase(world, "Succeeded")

    first, second, third = sorted(batches(world), key=lambda batch: batch["status"]["startTime"])
    assert len(waited) > 3
    assert (first["status"]["phase"], first["status"]["reason"]) == ("Yielded", "Yield")
    assert [entry["name"] for entry in second["spec"]["jobs"]] == ["urgent"]
    assert {entry["name"] for entry in third["spec"]["jobs"]} == set(waited)
    for name in waited:
        status = world.status(name)
        assert (status.get("failures"), status.get("infrastructureFailures")) == (0, 0)
        assert len(status["attempts"]) == 1


def test_one_orgs_flood_does_not_hold_up_another_org(world: World) -> None:
    world.target(driver=simulate(test=0.2), batch={"maxTests": 5})
    for number in range(25):
        world.job(f"flood-{number:02d}", orgId="flood", appVersionId="f", priority=10)
    for number in range(5):
        world.job(f"small-{number:02d}", orgId="small", appVersionId="s", priority=1)

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")

    order = [
        batch["spec"]["turn"]["orgId"]
        for batch in sorted(batches(world), key=lambda batch: batch["status"]["startTime"])
    ]
    assert order.index("small") <= 1
    assert all(
        entry["orgId"] == batch["spec"]["turn"]["orgId"]
        for batch in batches(world)
        for entry in batch["spec"]["jobs"]
    )


@pytest.mark.parametrize(("over", "phase"), [("Cancel", "Cancelled"), ("Wait", "Pending")])
def test_one_too_many_is_told_or_refused_as_the_target_says(world: World, over: str, phase: str) -> None:
    quota = {"orgs": [{"orgId": "org", "maxWaiting": 2}], "overQuota": over}
    world.target(parallelism=0, fairness=quota)
    for name in ("a", "b", "c"):
        world.job(name, orgId="org")

    with operating(world):
        eventually(
            lambda: (
                [world.status(name).get("reason") for name in ("a", "b", "c")].count("QuotaExceeded") == 1
            ),
            lambda: phases(world),
        )

    told = [name for name in ("a", "b", "c") if world.status(name).get("reason") == "QuotaExceeded"]
    assert [world.phase(name) for name in told] == [phase]
    assert "may have 2 TestJobs waiting" in world.status(told[0])["message"]


def test_a_batch_says_whose_turn_it_is_and_nobody_can_change_that(world: World) -> None:
    world.target()
    world.job("a")

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")

    (batch,) = batches(world)
    assert batch["spec"]["turn"]["weight"] == 1
    with pytest.raises(Exception, match="can't be changed after the TestBatch was created"):
        world.set_spec(TEST_BATCHES, batch["metadata"]["name"], turn={**batch["spec"]["turn"], "start": -1})
