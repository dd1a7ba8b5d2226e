"""Stops that a person or the cluster asks for: cancel, yield, SIGTERM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from tests.apiserver.runner_support import World, command, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def test_cancelling_a_running_test_stops_it_alone(world: World) -> None:
    world.target(driver=simulate(outcomes=[{"test": "one*", "outcomes": ["passed"], "seconds": 600}]))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.set_spec(TEST_JOBS, "one", cancel=True)
        assert runner.wait() == 0, runner.output

    assert (world.phase("one"), world.phase("two")) == ("Cancelled", "Succeeded")
    assert "end one attempt=1 outcome=cancelled" in runner.output


def test_cancelling_a_test_before_its_turn_means_that_it_never_runs(world: World) -> None:
    world.target(driver=simulate(test=5))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.set_spec(TEST_JOBS, "two", cancel=True)
        assert runner.wait() == 0, runner.output

    assert (world.phase("one"), world.phase("two")) == ("Succeeded", "Cancelled")
    assert "begin two" not in runner.output


def test_a_batch_of_cancelled_test_jobs_installs_nothing(world: World) -> None:
    world.target()
    batch = world.batch([world.job("one", cancel=True)])

    runner = world.run(batch)

    assert world.phase("one") == "Cancelled"
    assert world.batch_status(batch)["reason"] == "NothingToRun"
    assert "simulated install" not in runner.output


def test_a_yield_gives_back_what_was_not_started(world: World) -> None:
    world.target(driver=simulate(test=3))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.set_spec(TEST_BATCHES, batch, **{"yield": True})
        assert runner.wait() == 0, runner.output

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"], status["givenBack"]) == ("Yielded", "Yield", 1)
    assert (world.phase("one"), world.phase("two")) == ("Succeeded", "Pending")


def test_sigterm_while_a_test_runs_charges_that_one_and_gives_back_the_rest(world: World) -> None:
    world.target(driver=simulate(test=600))
    batch = world.batch([world.job("one"), world.job("two"), world.job("three")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        runner.terminate()
        assert runner.wait() == 0, runner.output

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Yielded", "Terminated")
    assert (status["infrastructure"], status["givenBack"]) == (1, 2)
    one = world.status("one")
    assert (one["phase"], one["reason"], one["failures"]) == ("Retrying", "Terminated", 0)
    assert one["infrastructureFailures"] == 1
    for job in ("two", "three"):
        assert (world.phase(job), world.status(job)["infrastructureFailures"]) == ("Pending", 0)


def test_sigterm_during_the_install_costs_no_test_job_anything(world: World) -> None:
    world.target(driver=simulate(install=600), timeouts={"installSeconds": 900})
    batch = world.batch([world.job("one")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated install")
        runner.terminate()
        assert runner.wait() == 0, runner.output

    assert world.batch_status(batch)["reason"] == "Terminated"
    assert (world.phase("one"), world.status("one")["infrastructureFailures"]) == ("Pending", 0)


def test_sigterm_becomes_sigint_for_the_tests_processes(world: World) -> None:
    script = "trap 'echo tidied up; exit 130' INT; echo begun; while :; do sleep 0.1; done"
    world.target(driver=command(script))
    batch = world.batch([world.job("one")])

    with world.running(batch) as runner:
        runner.wait_for_line("begun")
        runner.terminate()
        assert runner.wait() == 0, runner.output

    assert "tidied up" in runner.output
    assert world.status("one")["reason"] == "Terminated"
