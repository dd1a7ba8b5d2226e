"""The operator and real runners, from submission to the end, against a real API server."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_JOBS, TEST_TARGETS
from tests.apiserver.operator_support import (
    Fleet,
    batches,
    operating,
    phases,
    wait_for_phase,
)
from tests.apiserver.runner_support import World, eventually, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def test_test_jobs_of_one_app_version_share_a_batch_and_pass(world: World) -> None:
    world.target(parallelism=2)
    for name in ("a", "b", "c"):
        world.job(name)
    world.job("other", appVersionId="v2")

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")

    sizes = {batch["spec"]["appVersionId"]: len(batch["spec"]["jobs"]) for batch in batches(world)}
    assert sizes == {"v1": 3, "v2": 1}


def test_what_is_more_urgent_comes_first_in_the_batch(world: World) -> None:
    world.target()
    for name, priority in (("low", 1), ("high", 10), ("middle", 5)):
        world.job(name, priority=priority)

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")

    (batch,) = batches(world)
    assert [entry["name"] for entry in batch["spec"]["jobs"]] == ["high", "middle", "low"]
    assert batch["spec"]["priority"] == 10


def test_a_failure_is_retried_and_the_last_one_is_a_dead_letter_that_can_be_replayed(world: World) -> None:
    outcomes = [
        {"test": "flaky*", "outcomes": ["failed", "passed"]},
        {"test": "broken*", "outcomes": ["failed", "failed", "passed"], "message": "Items: 3"},
    ]
    world.target(driver=simulate(outcomes=outcomes), retry={"backoffSeconds": 0})
    world.job("flaky", maxRetries=1)
    world.job("broken", maxRetries=1)

    with operating(world), Fleet(world):
        eventually(
            lambda: phases(world) == {"flaky": "Succeeded", "broken": "DeadLettered"}, lambda: phases(world)
        )
        broken = world.status("broken")
        world.set_spec(TEST_JOBS, "broken", replays=1)
        wait_for_phase(world, "Succeeded")

    assert broken["reason"] == "TestFailed"
    assert broken["failures"] == 2
    assert "Items: 3" in broken["message"]
    assert world.status("broken")["observedReplays"] == 1


def test_a_target_that_is_missing_is_named_and_the_test_goes_on_once_it_is_there(world: World) -> None:
    world.job("early", target="later")
    with operating(world), Fleet(world):
        eventually(lambda: world.status("early")["reason"] == "TargetNotFound", lambda: world.status("early"))
        assert "no TestTarget 'later'" in world.status("early")["message"]

        world.target("later")
        wait_for_phase(world, "Succeeded")


def test_cancelling_what_waits_ends_it_at_once(world: World) -> None:
    world.target(parallelism=0)
    world.job("a")
    with operating(world):
        world.set_spec(TEST_JOBS, "a", cancel=True)
        wait_for_phase(world, "Cancelled")


def test_parallelism_bounds_the_batches_at_once(world: World) -> None:
    world.target(driver=simulate(test=0.3), parallelism=2)
    for number in range(5):
        world.job(f"j{number}", appVersionId=f"v{number}")
    most = 0

    def all_done() -> bool:
        nonlocal most
        most = max(
            most,
            sum(batch["status"]["phase"] in {"Pending", "Installing", "Running"} for batch in batches(world)),
        )
        return set(phases(world).values()) == {"Succeeded"}

    with operating(world), Fleet(world):
        eventually(all_done, lambda: phases(world))

    assert most == 2


def test_a_device_is_leased_to_one_batch_at_a_time(world: World) -> None:
    devices = [{"name": "pixel", "address": "127.0.0.1:1"}]
    world.target(provider={"devices": devices}, driver=simulate(test=0.2))
    world.job("a")
    world.job("b", appVersionId="v2")

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")
        eventually(lambda: device(world)["state"] == "Free", lambda: device(world))

    ends = sorted((batch["status"]["startTime"], batch["status"]["finishTime"]) for batch in batches(world))
    assert {batch["spec"]["device"]["name"] for batch in batches(world)} == {"pixel"}
    assert ends[0][1] <= ends[1][0]


def test_finished_test_jobs_and_batches_are_deleted_after_their_ttl_but_not_what_argo_cd_manages(
    world: World,
) -> None:
    world.target()
    world.job("gone")
    world.job("kept", ttlSecondsAfterFinished=3600)
    world.job("managed", ttlSecondsAfterFinished=0)
    tracking = {"argocd.argoproj.io/tracking-id": "app:qgjob.dev/TestJob:ns/managed"}
    world.client.patch(TEST_JOBS, "managed", {"metadata": {"annotations": tracking}}, kind="merge")

    flags = ("--ttl-seconds-after-finished", "1", "--batch-ttl-seconds", "1")
    with operating(world, *flags), Fleet(world):
        eventually(lambda: set(phases(world)) == {"kept", "managed"}, lambda: phases(world))
        eventually(lambda: not batches(world), lambda: batches(world))


def test_the_metrics_tell_what_happened(world: World) -> None:
    world.target(driver=simulate(install=0.2))
    for name in ("a", "b", "c"):
        world.job(name)
    with operating(world) as operator, Fleet(world):
        wait_for_phase(world, "Succeeded")
        port = operator.port()
        labels = f'namespace="{world.namespace}",target="sim"'
        expected = f'qgjob_attempts_total{{namespace="{world.namespace}",outcome="passed",target="sim"}} 3.0'
        eventually(lambda: expected in read(port, "metrics"), lambda: read(port, "metrics"))
        text = read(port, "metrics")

        assert read(port, "healthz") == read(port, "readyz") == "ok\n"
    assert f"qgjob_waiting_seconds_count{{{labels}}} 3.0" in text
    assert f"qgjob_running_seconds_count{{{labels}}} 3.0" in text
    saved = next(line for line in text.splitlines() if line.startswith("qgjob_install_seconds_saved_total"))
    assert float(saved.split()[-1]) >= 0.4
    assert 'qgjob_api_writes_total{code="200",resource="testjobs/status",verb="patch"} 3.0' in text
    assert "qgjob_leader 1.0" in text


def device(world: World) -> dict[str, str]:
    (only,) = world.client.get(TEST_TARGETS, "sim")["status"]["devices"]
    return dict(only)


def read(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
        return str(answer.read().decode())


def test_a_driver_that_the_image_lacks_is_told_by_the_target_and_its_test_jobs_and_an_edit_mends_it(
    world: World,
) -> None:
    world.target(driver={"name": "maestro"}, retry={"backoffSeconds": 3600})
    world.job("one")

    with operating(world), Fleet(world):
        eventually(lambda: ready(world).get("reason") == "DriverNotFound", lambda: ready(world))
        told, waiting = ready(world), world.status("one")
        before = len(batches(world))
        world.set_spec(TEST_TARGETS, "sim", driver=simulate(), retry={"backoffSeconds": 0})
        eventually(lambda: ready(world)["status"] == "True", lambda: ready(world))
        world.job("two", appVersionId="v2")
        eventually(lambda: phases(world)["two"] == "Succeeded", lambda: phases(world))

    assert told["status"] == "False"
    assert told["message"].startswith("this runner's image has no driver 'maestro' (it has: ")
    assert (waiting["phase"], waiting["reason"], waiting["message"]) == (
        "Retrying",
        "DriverNotFound",
        told["message"],
    )
    assert (waiting.get("failures", 0), before) == (0, 1)
    assert ready(world)["status"] == "True"


def test_a_driver_that_stays_missing_uses_up_the_budget_of_the_infrastructure(world: World) -> None:
    world.target(driver={"name": "maestro"}, retry={"backoffSeconds": 0, "infrastructureRetries": 2})
    world.job("one")

    with operating(world), Fleet(world):
        wait_for_phase(world, "DeadLettered")

    status = world.status("one")
    assert (status["reason"], status["infrastructureFailures"], len(batches(world))) == (
        "Infrastructure",
        3,
        3,
    )
    assert "no driver 'maestro'" in status["message"]


def ready(world: World) -> dict[str, str]:
    conditions = world.client.get(TEST_TARGETS, "sim")["status"].get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})
