"""What a runner does when answers are lost, the server is away, or the batch isn't its own any more."""

from __future__ import annotations

import io
import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from testrunner.claims import Claims
from testrunner.identity import Pod
from testrunner.interruption import Interruption
from testrunner.log import Log
from testrunner.readable_paths import ReadablePaths
from testrunner.record import BatchRecord
from testrunner.reporting import Reporter
from testrunner.stop import StopToken
from testrunner.turns import Turns
from tests.apiserver.proxy import Proxy, Request
from tests.apiserver.runner_support import World, eventually, simulate
from tests.unit.runner.clocks import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from testrunner.clock import Clock


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def proxy(world: World, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(world.kubeconfig, tmp_path) as started:
        yield started


def turns(world: World, batch: str, clock: Clock) -> Turns:
    """The runner's view of an owned batch, on the real API server."""
    pod = Pod("uid-of-the-pod", "the-pod")
    log = Log(io.StringIO())
    record = BatchRecord(world.client, world.namespace, batch, pod, clock)
    record.own(StopToken(), log.line)
    paths = ReadablePaths(world.folder)
    reporter = Reporter(world.client, world.namespace, batch, pod=pod, paths=paths, clock=clock, log=log)
    claims = Claims(world.client, world.namespace, batch, reporter=reporter, clock=clock)
    return Turns(record, claims, interruption=Interruption(clock), clock=clock)


def test_lost_answers_neither_repeat_a_test_nor_lose_its_result(world: World, proxy: Proxy) -> None:
    outcomes = [{"test": "t1*", "outcomes": ["failed"]}]
    world.target(driver=simulate(outcomes=outcomes))
    batch = world.batch([world.job(f"t{number}") for number in range(3)])
    proxy.cut = lambda request: request.is_write  # the answer to every single write

    runner = world.run(batch, kubeconfig=proxy.kubeconfig)

    assert [world.phase(f"t{number}") for number in range(3)] == ["Succeeded", "Retrying", "Succeeded"]
    assert [world.status(f"t{number}")["attempts"][0]["outcome"] for number in range(3)] == [
        "passed",
        "failed",
        "passed",
    ]
    assert runner.output.count("simulated run") == 3
    status = world.batch_status(batch)
    assert (status["phase"], status["passed"], status["failed"]) == ("Completed", 2, 1)


def test_every_other_answer_lost_reads_included(world: World, proxy: Proxy) -> None:
    world.target()
    batch = world.batch([world.job(f"t{number}") for number in range(4)])
    count = itertools.count()
    lock = threading.Lock()

    def every_other(_: Request) -> bool:
        with lock:
            return next(count) % 2 == 0

    proxy.cut = every_other
    runner = world.run(batch, kubeconfig=proxy.kubeconfig)

    assert [world.phase(f"t{number}") for number in range(4)] == ["Succeeded"] * 4
    assert runner.output.count("simulated run") == 4
    assert world.batch_status(batch)["passed"] == 4


def test_a_result_waits_for_a_server_that_is_away(
    world: World, crds: ThrowawayControlPlane, namespace: str
) -> None:
    world.target(driver=simulate(test=1.5), timeouts={"fenceSeconds": 120})
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run 1 of one")
        crds.stop()
        try:
            # Its result is known, and nobody can be told: that is tried more than once.
            runner.wait_for_line("end one attempt=1 outcome=passed")
            eventually(lambda: runner.output.count("no answer from the Kubernetes API server") > 1)
            assert "begin two" not in runner.output
        finally:
            crds.start()
        assert runner.wait() == 0, runner.output

    assert [world.phase("one"), world.phase("two")] == ["Succeeded", "Succeeded"]
    assert runner.output.count("simulated run") == 2


def test_of_two_pods_of_one_batch_exactly_one_runs(world: World) -> None:
    world.target()
    batch = world.batch([world.job(f"t{number}") for number in range(5)])

    with world.running(batch) as first, world.running(batch) as second:
        codes = sorted([first.wait(), second.wait()])

    assert codes == [0, 3], first.output + second.output
    assert (first.output + second.output).count("simulated run") == 5
    assert [len(world.status(f"t{number}")["attempts"]) for number in range(5)] == [1] * 5


def test_a_pod_that_comes_second_says_who_owns_the_batch(world: World) -> None:
    world.target()
    batch = world.batch([world.job("one")])
    world.set_batch_status(batch, pod="another-pod", phase="Installing")

    runner = world.run(batch, code=3)

    assert "another pod owns it" in runner.output
    assert world.phase("one") == "Scheduled"


def test_without_contact_for_the_fence_time_tests_stop_and_are_accounted_for_later(
    world: World, proxy: Proxy
) -> None:
    world.target(driver=simulate(test=600), timeouts={"fenceSeconds": 2})
    batch = world.batch([world.job("running"), world.job("waiting")])

    with world.running(batch, kubeconfig=proxy.kubeconfig) as runner:
        runner.wait_for_line("simulated run")
        proxy.refuse = lambda _method, _path: 503
        runner.wait_for_line("end running attempt=1 outcome=infrastructure")
        assert world.phase("running") == "Running"  # nobody could be told so far
        proxy.refuse = lambda _method, _path: 0
        assert runner.wait() == 0, runner.output

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "LostContact")
    assert (world.phase("running"), world.phase("waiting")) == ("Retrying", "Pending")


@pytest.mark.parametrize("status", [401, 404])
def test_a_batch_that_is_refused_twice_stops_the_tests(world: World, proxy: Proxy, status: int) -> None:
    world.target(driver=simulate(test=600), timeouts={"fenceSeconds": 3})
    batch = world.batch([world.job("one")])

    with world.running(batch, kubeconfig=proxy.kubeconfig) as runner:
        runner.wait_for_line("simulated run")
        proxy.refuse = lambda _method, path: status if f"/{TEST_BATCHES}/" in path else 0
        assert runner.wait() == 1, runner.output

    assert f"TestBatch {world.namespace}/{batch} is left alone" in runner.output


def test_a_batch_that_the_operator_ended_is_left_alone(world: World) -> None:
    world.target(driver=simulate(test=600), timeouts={"fenceSeconds": 3})
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.set_batch_status(batch, phase="Failed", reason="PodGone", open=False)
        assert runner.wait() == 1, runner.output

    assert world.batch_status(batch)["reason"] == "PodGone"
    assert world.phase("two") == "Scheduled"  # the operator's to give back


def test_a_test_whose_claim_was_taken_away_is_stopped(world: World) -> None:
    world.target(
        driver=simulate(outcomes=[{"test": "one*", "outcomes": ["passed"], "seconds": 600}]),
    )
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.take_away("one")
        assert runner.wait() == 0, runner.output

    assert "end one attempt=1 outcome=taken" in runner.output
    one = world.status("one")
    assert [attempt["message"] for attempt in one["attempts"]] == ["the pod is gone"]
    assert world.phase("two") == "Succeeded"
    assert world.batch_status(batch)["total"] == 1


def test_a_claim_that_was_taken_away_before_its_turn_is_skipped(world: World) -> None:
    world.target(driver=simulate(test=1))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        live = world.client.get(TEST_JOBS, "two")
        patch = {
            "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
            "status": {"phase": "Pending", "batch": ""},
        }
        world.client.patch(TEST_JOBS, "two", patch, kind="merge", subresource="status")
        assert runner.wait() == 0, runner.output

    assert world.phase("two") == "Pending"
    assert runner.output.count("simulated run") == 1


def test_an_unclaimed_entry_is_waited_for(world: World) -> None:
    """The runner's own clock stands still here: how long a claim takes on a busy machine is no matter."""
    world.target()
    batch = world.batch([world.job("one")], claimed=[])
    looks = itertools.count(1)

    def check() -> None:
        if next(looks) == 3:
            world.claim("one", batch)

    found = turns(world, batch, HandClock().clock).next(check)

    assert found is not None
    assert (found[0].name, next(looks)) == ("one", 4)


def test_an_entry_that_is_claimed_while_others_run_is_run_too(world: World) -> None:
    world.target(driver=simulate(test=1))
    one, two = world.job("one"), world.job("two")
    batch = world.batch([one, two], claimed=[one])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.claim("two", batch)
        assert runner.wait() == 0, runner.output

    assert world.phase("two") == "Succeeded"


def test_an_entry_that_is_never_claimed_ends_the_wait(world: World) -> None:
    world.target()
    one, two = world.job("one"), world.job("two")
    batch = world.batch([one, two], claimed=[one])

    world.run(batch)

    assert (world.phase("one"), world.phase("two")) == ("Succeeded", "Pending")
    assert world.batch_status(batch)["phase"] == "Completed"


def test_test_jobs_that_join_late_are_run_too(world: World) -> None:
    world.target(driver=simulate(test=1))
    batch = world.batch([world.job("one")])

    with world.running(batch) as runner:
        runner.wait_for_line("simulated run")
        world.append(batch, world.job("late"))
        world.claim("late", batch)
        assert runner.wait() == 0, runner.output

    assert world.phase("late") == "Succeeded"
    assert runner.output.count("simulated install") == 1


def test_a_test_job_that_joins_while_the_batch_closes_goes_back_to_the_line(
    world: World, proxy: Proxy
) -> None:
    world.target()
    batch = world.batch([world.job("one")])
    late = world.job("late")
    joined: list[object] = []

    def join(_method: str, path: str, body: bytes) -> None:
        if f"/{TEST_BATCHES}/" in path and b'"Completed"' in body and not joined:
            joined.append(world.append(batch, late))
            world.claim("late", batch)

    proxy.before = join
    runner = world.run(batch, kubeconfig=proxy.kubeconfig)

    assert (world.phase("one"), world.phase("late")) == ("Succeeded", "Pending")
    assert world.status("late")["batch"] == ""
    assert world.batch_status(batch)["givenBack"] == 1
    assert runner.output.count("simulated run") == 1


def test_a_start_that_is_forbidden_leaves_the_test_job_alone(world: World, proxy: Proxy) -> None:
    world.target()
    batch = world.batch([world.job("one"), world.job("two")])
    proxy.refuse = lambda method, path: 403 if method == "PATCH" and f"/{TEST_JOBS}/one/" in path else 0

    runner = world.run(batch, kubeconfig=proxy.kubeconfig)

    assert (world.phase("one"), world.phase("two")) == ("Scheduled", "Succeeded")
    assert "TestJob one: its status can't be written" in runner.output
    assert "begin one" not in runner.output


def test_a_refusal_at_the_start_says_what_to_do(
    world: World, crds: ThrowawayControlPlane, namespace: str
) -> None:
    batch = world.batch([world.job("one")])
    stranger = crds.kubeconfig_for_user("stranger")

    runner = world.run(batch, kubeconfig=stranger, code=1)

    assert runner.output.count("\n") == 1
    assert "bound to the ClusterRole qgjob-runner" in runner.output
