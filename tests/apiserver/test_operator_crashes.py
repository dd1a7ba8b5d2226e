"""Operators that are killed, doubled, stopped, or cut off from the API server: nothing is lost or run twice."""

from __future__ import annotations

import random
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.apiserver.operator_support import Fleet, OperatorProcess, operating, phases, wait_for_phase
from tests.apiserver.runner_support import World, eventually, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

JOBS = 24


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def submit_many(world: World) -> None:
    world.target(driver=simulate(test=0.05), parallelism=3, batch={"maxTests": 4})
    for number in range(JOBS):
        world.job(f"j{number}", appVersionId=f"v{number % 3}")


def assert_each_ran_once(world: World, fleet: Fleet) -> None:
    begun = [line.split()[2] for line in fleet.logs.splitlines() if line.startswith("::qgjob:: begin")]
    assert sorted(begun) == sorted(f"j{number}" for number in range(JOBS))
    for number in range(JOBS):
        assert len(world.status(f"j{number}")["attempts"]) == 1


def test_operators_that_are_killed_again_and_again_lose_nothing(world: World) -> None:
    submit_many(world)
    dice = random.Random(7)
    kills = 0
    with Fleet(world) as fleet:
        deadline = time.monotonic() + 120
        while set(phases(world).values()) != {"Succeeded"}:
            assert time.monotonic() < deadline, phases(world)
            operator = OperatorProcess(world)
            try:
                if kills < 6:
                    # From before its first write to some batches later.
                    time.sleep(dice.uniform(0.6, 2.5))
                    kills += 1
                else:
                    wait_for_phase(world, "Succeeded")
            finally:
                operator.kill()
        assert_each_ran_once(world, fleet)


def test_two_operators_share_the_work_without_sharing_a_test(world: World) -> None:
    submit_many(world)
    with Fleet(world) as fleet, operating(world):
        second = OperatorProcess(world)
        try:
            wait_for_phase(world, "Succeeded")
            assert "leading as" not in second.log
        finally:
            second.kill()
        assert_each_ran_once(world, fleet)


def test_operators_with_leases_of_their_own_are_kept_apart_by_the_preconditions(world: World) -> None:
    submit_many(world)
    with Fleet(world) as fleet, operating(world), operating(world, "--lease-name", "another"):
        wait_for_phase(world, "Succeeded")
        assert_each_ran_once(world, fleet)


def test_sigterm_ends_it_in_good_order_and_the_standby_takes_over_at_once(world: World) -> None:
    world.target()
    with operating(world, "--lease-duration-seconds", "3600") as first:
        standby = OperatorProcess(world)
        try:
            eventually(lambda: "waiting" in standby.log, lambda: standby.log)
            started = time.monotonic()
            assert first.terminate() == 0, first.log
            assert time.monotonic() - started < 10
            standby.wait_until_it_leads()
            assert "Traceback" not in first.log
        finally:
            standby.kill()


def test_operators_that_are_stopped_in_the_middle_of_work_leave_in_good_order(world: World) -> None:
    submit_many(world)
    dice = random.Random(11)
    with Fleet(world) as fleet:
        for _ in range(4):
            with operating(world) as operator:
                # Some stop between the creation of a batch and its Job, some with nothing to do.
                time.sleep(dice.uniform(0.0, 0.3))
                started = time.monotonic()
                assert operator.terminate() == 0, operator.log
                assert time.monotonic() - started < 10
                assert holder(world) == ""
                assert "Traceback" not in operator.log
        with operating(world):
            wait_for_phase(world, "Succeeded")
        assert_each_ran_once(world, fleet)


def test_a_standby_is_ready_and_writes_nothing(world: World) -> None:
    world.target()
    with operating(world):
        standby = OperatorProcess(world)
        try:
            eventually(lambda: answer(standby, "readyz") == (200, "ok\n"), lambda: standby.log)
            text = answer(standby, "metrics")[1]
        finally:
            standby.kill()
    assert "qgjob_leader 0.0" in text
    assert "qgjob_api_writes_total{" not in text


def test_a_replica_that_knows_nothing_yet_is_alive_but_not_ready(
    crds: ThrowawayControlPlane, world: World
) -> None:
    crds.stop()
    try:
        operator = OperatorProcess(world)
        try:
            assert answer(operator, "healthz") == (200, "ok\n")
            status, text = answer(operator, "readyz")
            eventually(lambda: "cannot list" in operator.log, lambda: operator.log)
        finally:
            assert operator.terminate() == 0
    finally:
        crds.start()
    assert status == 503
    assert "testjobs" in text
    assert "Traceback" not in operator.log


def test_a_restart_of_the_api_server_is_outlived(crds: ThrowawayControlPlane, world: World) -> None:
    submit_many(world)
    with (
        Fleet(world),
        operating(world, "--lease-duration-seconds", "60", "--lease-renew-deadline-seconds", "50"),
    ):
        eventually(lambda: "Succeeded" in phases(world).values())
        crds.stop()
        crds.start()
        wait_for_phase(world, "Succeeded")


def test_a_leader_that_cannot_renew_its_lease_exits(crds: ThrowawayControlPlane, world: World) -> None:
    with operating(world) as operator:
        crds.stop()
        try:
            assert operator.process.wait(60) == 1
        finally:
            crds.start()
        assert "could not be renewed in time" in operator.log


def test_bad_settings_are_refused_in_one_line(world: World) -> None:
    operator = OperatorProcess(world, "--lease-renew-deadline-seconds", "9")
    try:
        assert operator.process.wait(60) == 2
    finally:
        operator.kill()
    assert len(operator.log.splitlines()) == 1
    assert "must be less than" in operator.log


def holder(world: World) -> str:
    lease = world.client.get("leases", "qgjob-operator", api_version="coordination.k8s.io/v1")
    return str(lease["spec"]["holderIdentity"])


def answer(operator: OperatorProcess, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.port()}/{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
