"""A whole batch, with the runner as a process and the simulated driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from tests.apiserver.proxy import Proxy
from tests.apiserver.runner_support import World, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def test_every_outcome_is_written_where_it_happened(world: World) -> None:
    outcomes = [
        {"test": "bad*", "outcomes": ["failed"], "message": "expected 1, got 2"},
        {"test": "infra*", "outcomes": ["infrastructure"], "message": "hub unreachable"},
    ]
    world.target(driver=simulate(outcomes=outcomes))
    batch = world.batch([world.job("good"), world.job("bad"), world.job("infra")])

    runner = world.run(batch)

    good, bad, infra = world.status("good"), world.status("bad"), world.status("infra")
    assert good["phase"] == "Succeeded"
    assert (bad["phase"], bad["failures"], bad["infrastructureFailures"]) == ("Retrying", 1, 0)
    assert (infra["phase"], infra["failures"], infra["infrastructureFailures"]) == ("Retrying", 0, 1)
    assert bad["attempts"][0]["message"] == "expected 1, got 2"
    assert good["attempts"][0]["pod"] == good["pod"] != ""
    status = world.batch_status(batch)
    assert (status["phase"], status["open"], status["total"]) == ("Completed", False, 3)
    assert (status["passed"], status["failed"], status["infrastructure"]) == (1, 1, 1)
    assert [test["name"] for test in status["tests"]] == ["good", "bad", "infra"]
    assert runner.output.count("simulated install") == 1


def test_the_log_frames_each_test(world: World) -> None:
    world.target()
    batch = world.batch([world.job("one"), world.job("two")])

    lines = world.run(batch).output.splitlines()

    begin, end = "::qgjob:: begin two attempt=1", "::qgjob:: end two attempt=1 outcome=passed"
    inside = lines[lines.index(begin) + 1 : lines.index(end)]
    assert inside == ["simulated run 1 of two.spec.ts (0 s)", "simulated: passed"]


def test_a_passing_test_job_costs_two_writes_and_a_batch_three(world: World, tmp_path: Path) -> None:
    world.target()
    batch = world.batch([world.job(f"t{number}") for number in range(5)])

    with Proxy(world.kubeconfig, tmp_path) as proxy:
        world.run(batch, kubeconfig=proxy.kubeconfig)

    assert [len(proxy.writes(f"/{TEST_JOBS}/t{number}/")) for number in range(5)] == [2] * 5
    assert len(proxy.writes(f"/{TEST_BATCHES}/")) == 3
    assert sum(request.is_write for request in proxy.requests) == 13


def test_a_retry_sees_which_run_it_is(world: World) -> None:
    world.target(
        driver=simulate(outcomes=[{"test": "*", "outcomes": ["failed", "passed"]}]),
        retry={"backoffSeconds": 0},
    )
    job = world.job("flaky")
    world.run(world.batch([job]))

    world.run(world.batch([world.client.get(TEST_JOBS, "flaky")]))

    status = world.status("flaky")
    assert (status["phase"], status["failures"]) == ("Succeeded", 1)
    assert [attempt["number"] for attempt in status["attempts"]] == [1, 2]


def test_failures_past_max_retries_end_among_the_dead_letters(world: World) -> None:
    world.target(driver=simulate(outcomes=[{"test": "*", "outcomes": ["failed"], "message": "broken"}]))

    world.run(world.batch([world.job("hopeless", maxRetries=0)]))

    status = world.status("hopeless")
    assert (status["phase"], status["reason"], status["message"]) == ("DeadLettered", "TestFailed", "broken")


def test_an_install_that_takes_too_long_charges_every_claim_and_runs_nothing(world: World) -> None:
    world.target(driver=simulate(install=600), timeouts={"installSeconds": 1})
    batch = world.batch([world.job("one"), world.job("two")])

    runner = world.run(batch)

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "InstallFailed")
    assert "timeouts.installSeconds" in status["message"]
    for job in ("one", "two"):
        assert (world.phase(job), world.status(job)["infrastructureFailures"]) == ("Retrying", 1)
        assert world.status(job)["reason"] == "InstallFailed"
    assert "::qgjob:: begin" not in runner.output


def test_a_test_that_takes_too_long_fails(world: World) -> None:
    world.target(driver=simulate(test=600))

    world.run(world.batch([world.job("slow", timeoutSeconds=1)]))

    status = world.status("slow")
    assert (status["failures"], status["message"]) == (1, "timed out after 1 s")


def test_when_the_batch_has_used_up_its_time_the_rest_goes_back(world: World) -> None:
    world.target(driver=simulate(test=600), timeouts={"batchSeconds": 2})
    batch = world.batch([world.job("running"), world.job("waiting")])

    world.run(batch)

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Completed", "BatchTimeout")
    running, waiting = world.status("running"), world.status("waiting")
    assert (running["phase"], running["reason"]) == ("Retrying", "BatchTimeout")
    assert running["failures"] == 0
    assert (waiting["phase"], waiting["batch"], waiting["infrastructureFailures"]) == ("Pending", "", 0)


def test_a_batch_whose_install_uses_up_all_its_time_charges_every_claim(world: World) -> None:
    world.target(driver=simulate(install=1.5), timeouts={"batchSeconds": 1})
    batch = world.batch([world.job("one")])

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "BatchTimeout"
    assert (world.phase("one"), world.status("one")["infrastructureFailures"]) == ("Retrying", 1)


def test_a_target_that_is_gone_costs_the_test_jobs_nothing(world: World) -> None:
    batch = world.batch([world.job("one", target="gone")])

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "TargetNotFound"
    assert world.phase("one") == "Pending"


def test_a_driver_that_the_image_lacks_is_named_with_those_it_has(world: World) -> None:
    world.target(driver={"name": "espresso"})
    batch = world.batch([world.job("one")])

    world.run(batch)

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "DriverNotFound")
    assert "no driver 'espresso' (it has: appwright, command, simulate)" in status["message"]
    assert world.status("one")["infrastructureFailures"] == 1


def test_a_batch_that_does_not_exist_is_one_clear_line(world: World) -> None:
    runner = world.run("tb-nowhere", code=1)

    assert runner.output.count("\n") == 1
    assert 'testbatches.qgjob.dev "tb-nowhere" not found' in runner.output
