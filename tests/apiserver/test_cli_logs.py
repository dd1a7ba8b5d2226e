"""`qgjob logs` against a real API server, with a kubelet that is played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_JOBS
from tests.apiserver.kubelet import Kubelet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.apiserver.cli_support import Cli, Operator

POD = "tb-1-pod"


@pytest.fixture
def kubelet(crds: ThrowawayControlPlane, namespace: str) -> Iterator[Kubelet]:
    # A pod needs its namespace's default account, which no controller makes here.
    crds.client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    with Kubelet(crds, f"node-{namespace}") as kubelet:
        yield kubelet


def framed(job: str, attempt: int, *lines: str, outcome: str = "passed") -> list[str]:
    return [
        f"::qgjob:: begin {job} attempt={attempt}",
        *lines,
        f"::qgjob:: end {job} attempt={attempt} outcome={outcome}",
    ]


def test_only_the_tests_own_part_is_printed(cli: Cli, operator: Operator, kubelet: Kubelet) -> None:
    operator.create("a")
    operator.run_to("a", "passed")
    log = kubelet.pod(operator.namespace, POD)
    log.write("installing", *framed("b", 1, "b's"), *framed("a", 1, "one", "", "two"), *framed("c", 1, "c's"))

    answer = cli.run("logs", "a")

    assert answer.code == 0
    assert answer.stdout == "one\n\ntwo\n"
    assert answer.stderr == ""


def test_an_earlier_attempt_is_found_in_its_own_pod(cli: Cli, operator: Operator, kubelet: Kubelet) -> None:
    operator.create("a")
    operator.run("a", pod="tb-1-first")
    operator.finish("a", "failed", "no button")
    operator.run("a", pod="tb-2-second")
    operator.finish("a", "passed")
    kubelet.pod(operator.namespace, "tb-1-first").write(*framed("a", 1, "first"))
    kubelet.pod(operator.namespace, "tb-2-second").write(*framed("a", 2, "second"))

    assert cli.run("logs", "a").stdout == "second\n"
    assert cli.run("logs", "a", "--attempt", "1").stdout == "first\n"


def test_an_attempt_that_never_was_is_told(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.run_to("a", "passed")

    answer = cli.run("logs", "a", "--attempt", "7")

    assert answer.code == 2
    assert "job a has no attempt 7 that ran (it has: 1)" in answer.stderr


def test_a_job_that_has_not_run_says_so(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    answer = cli.run("logs", "a")

    assert answer.code == 2
    assert "job a has not run yet: Waiting in queue:p5 for target phones" in answer.stderr
    assert "`qgjob logs -f a` follows it from its start" in answer.stderr


def test_a_pod_that_is_gone_is_told_with_what_is_known(cli: Cli, operator: Operator) -> None:
    operator.create("a", maxRetries=0)
    operator.run_to("a", "failed", "no button")

    answer = cli.run("logs", "a")

    assert answer.code == 2
    assert answer.stderr == (
        "qgjob: the pod tb-1-pod of attempt 1 is gone, and its log with it. "
        "Its status says: Failed once: no button\n"
        "Logs outlive their pods where the TestTarget keeps artifacts (spec.artifacts)\n"
    )


@pytest.mark.parametrize("options", [("-f",), ("--retries",)])
def test_to_follow_a_job_that_is_over_and_has_no_log_ends_as_without_following(
    cli: Cli, operator: Operator, options: tuple[str, ...]
) -> None:
    operator.create("a", maxRetries=0)
    operator.run_to("a", "failed", "no button")

    answer = cli.run("logs", *options, "a")

    assert answer.code == 2
    assert "is gone, and its log with it. Its status says: Failed once: no button" in answer.stderr


@pytest.mark.parametrize("options", [(), ("-f",), ("--retries",)])
def test_a_job_that_was_cancelled_before_it_ran_has_no_log(
    cli: Cli, operator: Operator, options: tuple[str, ...]
) -> None:
    operator.create("a")
    operator.cancel("a")

    answer = cli.run("logs", *options, "a")

    assert answer.code == 2
    assert answer.stderr == "qgjob: there is no log of job a: it ended before it ran (Cancelled)\n"


def test_one_that_is_cancelled_while_it_is_waited_for_ends_the_wait(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    following = cli.start("logs", "-f", "a")
    following.until("Waiting in queue")
    operator.cancel("a")

    answer = following.end()

    assert (answer.code, answer.last_line) == (0, "qgjob: Cancelled")


def test_all_attempts_or_one_are_followed(cli: Cli) -> None:
    answer = cli.run("logs", "--retries", "--attempt", "1", "a")

    assert (answer.code, "give either" in answer.stderr) == (2, True)


def test_a_log_that_was_cut_is_told(cli: Cli, operator: Operator, kubelet: Kubelet) -> None:
    operator.create("a")
    operator.run_to("a", "passed")
    kubelet.pod(operator.namespace, POD).write(*framed("b", 1, "b's"))

    answer = cli.run("logs", "a")

    assert answer.code == 2
    assert "the log of pod tb-1-pod holds nothing of attempt 1" in answer.stderr


def test_follow_goes_from_the_queue_through_a_retry_to_the_end(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    first = kubelet.pod(operator.namespace, "tb-1-first")
    second = kubelet.pod(operator.namespace, "tb-2-second")
    following = cli.start("logs", "-f", "--retries", "a")
    following.until("Waiting in queue:p5 for target phones")

    operator.run("a", pod="tb-1-first")
    following.until("attempt 1, pod tb-1-first")
    first.write(*framed("a", 1, "first try", outcome="failed"))
    operator.finish("a", "failed", "no button")
    following.until("Failed once: no button; retry in")

    operator.run("a", pod="tb-2-second")
    following.until("attempt 2, pod tb-2-second")
    second.write(*framed("a", 2, "second try"))
    operator.finish("a", "passed")

    answer = following.end()
    assert answer.code == 0
    assert answer.stdout == "first try\nsecond try\n"
    assert answer.last_line == "qgjob: completed: Passed after failing once"


def test_follow_goes_on_for_a_replay_that_the_operator_has_not_seen_yet(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a", maxRetries=0)
    operator.run("a", pod="tb-1-first")
    operator.finish("a", "failed", "no button")
    kubelet.pod(operator.namespace, "tb-1-first").write(*framed("a", 1, "first"))
    kubelet.pod(operator.namespace, "tb-2-second").write(*framed("a", 2, "second"))
    assert cli.run("dlq", "replay", "a").code == 0

    following = cli.start("logs", "-f", "--retries", "a")
    following.until("Replay requested: to queue:p5 for target phones")
    operator.replay("a")
    operator.run("a", pod="tb-2-second")
    operator.finish("a", "passed")

    assert following.end().stdout == "first\nsecond\n"


def test_follow_prints_lines_as_they_are_written(cli: Cli, operator: Operator, kubelet: Kubelet) -> None:
    operator.create("a")
    operator.run("a")
    log = kubelet.pod(operator.namespace, POD)
    following = cli.start("logs", "-f", "a")
    following.until("attempt 1")
    assert following.process.stdout is not None

    log.write("::qgjob:: begin a attempt=1", "one")
    assert following.process.stdout.readline() == "one\n"
    log.write("two")
    assert following.process.stdout.readline() == "two\n"

    log.write("::qgjob:: end a attempt=1 outcome=passed")
    operator.finish("a", "passed")
    assert following.end().code == 0


def test_a_stream_that_breaks_is_taken_up_without_repeating_lines(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    operator.run("a")
    log = kubelet.pod(operator.namespace, POD)
    log.write("::qgjob:: begin a attempt=1", "one")
    log.end()  # for this reader; the job is still running
    following = cli.start("logs", "-f", "a")
    following.until("attempt 1")
    assert following.process.stdout is not None
    assert following.process.stdout.readline() == "one\n"

    log.write("two", "::qgjob:: end a attempt=1 outcome=passed")
    operator.finish("a", "passed")

    answer = following.end()
    assert answer.stdout == "two\n"
    assert answer.code == 0


def test_follow_ends_with_the_attempt_that_it_saw_start(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    pod = kubelet.pod(operator.namespace, "tb-1-first")
    following = cli.start("logs", "-f", "a")
    following.until("Waiting in queue:p5 for target phones")
    operator.run("a", pod="tb-1-first")
    following.until("attempt 1, pod tb-1-first")
    pod.write(*framed("a", 1, "first try", outcome="failed"))
    operator.finish("a", "failed", "no button")

    answer = following.end()

    assert (answer.code, answer.stdout) == (0, "first try\n")
    assert "Failed once: no button; retry in" in answer.stderr
    assert "`qgjob logs -f --retries a` follows its retries, too" in answer.stderr


def test_follow_of_a_job_that_waits_for_its_retry_begins_with_that(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    operator.run("a", pod="tb-1-first")
    operator.finish("a", "failed", "no button")
    kubelet.pod(operator.namespace, "tb-1-first").write(*framed("a", 1, "first try"))
    kubelet.pod(operator.namespace, "tb-2-second").write(*framed("a", 2, "second try"))
    following = cli.start("logs", "-f", "a")
    following.until("Failed once: no button; retry in")

    operator.run("a", pod="tb-2-second")
    operator.finish("a", "passed")

    assert following.end().stdout == "second try\n"


def test_follow_of_one_attempt_ends_with_it(cli: Cli, operator: Operator, kubelet: Kubelet) -> None:
    operator.create("a")
    operator.run_to("a", "failed", "no button")
    kubelet.pod(operator.namespace, POD).write(*framed("a", 1, "first"))

    answer = cli.run("logs", "-f", "a", "--attempt", "1")

    assert (answer.code, answer.stdout) == (0, "first\n")


def test_follow_ends_when_the_job_is_deleted(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    following = cli.start("logs", "-f", "a")
    following.until("Waiting in queue")
    operator.client.delete(TEST_JOBS, "a")

    answer = following.end()

    assert answer.code == 0
    assert answer.last_line == "qgjob: job a was deleted"


def test_an_unknown_job_is_told(cli: Cli) -> None:
    assert cli.run("logs", "nope").code == 2


def test_a_test_that_was_cancelled_while_it_ran_has_a_log(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    operator.run("a")
    operator.cancel("a")
    kubelet.pod(operator.namespace, POD).write(*framed("a", 1, "as far as it came", outcome="cancelled"))

    assert cli.run("logs", "a").stdout == "as far as it came\n"


def test_an_attempt_that_never_began_has_its_pods_whole_log(
    cli: Cli, operator: Operator, kubelet: Kubelet
) -> None:
    operator.create("a")
    job = operator.job("a")
    operator.set_status("a", lifecycle.claim(job["status"], "tb-1", replays=0))
    operator.finish("a", "infrastructure", "phone is lost", pod=POD)
    kubelet.pod(operator.namespace, POD).write("connecting", "phone is lost")

    answer = cli.run("logs", "a")

    assert answer.stdout == "connecting\nphone is lost\n"
    assert "attempt 1 ended before its test began" in answer.stderr
