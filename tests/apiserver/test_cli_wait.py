"""`qgjob wait` against a real API server: every exit code, by real status patches."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from qgjob.api.constants import TEST_JOBS
from tests.apiserver.cli_support import NEEDED, Cli, Operator, Running

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

#: Long enough that a test which ends by it has failed.
LONG = ("--timeout", "120")
#: What the program says of a job as soon as it follows it.
FOLLOWED = "Waiting in queue"


def started(cli: Cli, operator: Operator, *names: str, options: tuple[str, ...] = LONG) -> Running:
    """Create the jobs, start to wait for them, and return when they are followed."""
    for name in names:
        operator.create(name, test=f"{name}.ts", maxRetries=0)
    waiting = cli.start("wait", *names, *options)
    for _ in names:
        waiting.until(FOLLOWED)
    return waiting


def test_all_passed_is_0(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a", "b")
    operator.run_to("a", "passed")
    operator.run_to("b", "passed")

    answer = waiting.end()

    assert answer.code == 0
    assert [(row["job_id"], row["status"]) for row in answer.json] == [("a", "completed"), ("b", "completed")]
    assert answer.last_line == "qgjob: PASSED: all 2 tests passed"


def test_a_failed_test_is_1_and_the_last_line_says_which_and_why(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a", "b")
    operator.run_to("a", "passed")
    operator.run_to("b", "failed", 'Expected "Items: 3"\nReceived "Items: 2"')

    answer = waiting.end()

    assert answer.code == 1
    assert answer.last_line == (
        'qgjob: FAILED: 1 of 2 tests: b.ts (job b) failed once: Expected "Items: 3" Received "Items: 2"'
    )


def test_a_test_that_waits_for_its_retry_when_time_is_over_is_1(cli: Cli, operator: Operator) -> None:
    operator.create("a", maxRetries=3)
    operator.run_to("a", "failed", "no button")

    answer = cli.run("wait", "a", "--timeout", "1")

    assert answer.code == 1
    assert answer.json["status"] == "queued_for_retry"
    assert answer.last_line == (
        "qgjob: FAILED: a.spec.ts (job a) failed once: no button and is waiting for its retry"
    )


def test_time_over_is_3(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    answer = cli.run("wait", "a", "--timeout", "1")

    assert answer.code == 3
    assert answer.last_line == (
        "qgjob: TIMEOUT after 1 s: a.spec.ts (job a) is still queued; it goes on in the cluster"
    )


def test_a_timeout_tells_an_exceptional_reason(cli: Cli, operator: Operator) -> None:
    operator.create("a", target="nowhere")
    operator.set_status("a", {"reason": "TargetNotFound", "message": "no TestTarget 'nowhere' here"})

    answer = cli.run("wait", "a", "--timeout", "0")

    assert answer.code == 3
    assert "is still queued: no TestTarget 'nowhere' here" in answer.last_line


def test_infrastructure_is_4(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a")
    operator.run_to("a", "infrastructure", "the device went away")

    answer = waiting.end()

    assert answer.code == 4
    assert answer.last_line == (
        "qgjob: INFRASTRUCTURE: a.ts (job a) infrastructure failed once: the device went away"
    )


def test_an_app_version_that_is_not_there_is_2_and_no_failure_of_a_test(cli: Cli, operator: Operator) -> None:
    job = cli.submitted()
    operator.run_to(
        job, "failed", "there is no app version app-1: HTTP 404", final_reason="AppVersionNotFound"
    )

    answer = cli.run("wait", job)

    assert answer.code == 2
    assert (answer.json["status"], answer.json["reason"]) == ("failed", "AppVersionNotFound")
    assert (answer.json["failures"], answer.json["infrastructure_failures"]) == (0, 0)
    assert answer.last_line == (
        f"qgjob: INVALID: tests/login.spec.ts (job {job}) can't be run: "
        "AppVersionNotFound: there is no app version app-1: HTTP 404"
    )


def test_a_cancelled_job_is_5(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a")
    operator.cancel("a")

    answer = waiting.end()

    assert answer.code == 5
    assert answer.last_line == "qgjob: CANCELLED: a.ts (job a) was cancelled"


def test_a_deleted_job_is_5(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a")
    operator.client.delete(TEST_JOBS, "a")

    answer = waiting.end()

    assert answer.code == 5
    assert answer.json["status"] == "deleted"
    assert answer.last_line == "qgjob: CANCELLED: a.ts (job a) was deleted before it was over"


def test_a_job_that_passed_and_was_cleaned_up_while_others_run_has_passed(
    cli: Cli, operator: Operator
) -> None:
    waiting = started(cli, operator, "a", "b")
    operator.run_to("a", "passed")
    operator.client.delete(TEST_JOBS, "a")
    operator.run_to("b", "passed")

    assert waiting.end().code == 0


def test_unknown_jobs_are_2_and_all_are_named(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    answer = cli.run("wait", "a", "b", "c")

    assert answer.code == 2
    assert "no job b, c in namespace" in answer.stderr


def test_a_wrong_option_is_2(cli: Cli) -> None:
    assert cli.run("wait", "a", "--timeout", "soon").code == 2
    assert cli.run("wait").code == 2


def test_fail_fast_does_not_wait_for_the_others(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a", "b", options=(*LONG, "--fail-fast"))
    operator.run_to("b", "failed", "no button")

    answer = waiting.end()

    assert answer.code == 1
    assert [row["status"] for row in answer.json] == ["queued", "failed"]


def test_what_is_over_already_is_told_at_once(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.run_to("a", "passed")

    assert cli.run("wait", "a", "--timeout", "0").code == 0


def test_a_replay_that_the_operator_has_not_seen_yet_is_waited_for(cli: Cli, operator: Operator) -> None:
    operator.create("a", maxRetries=0)
    operator.run_to("a", "failed", "no button")
    assert cli.run("dlq", "replay", "a").code == 0

    waiting = cli.start("wait", "a", *LONG)
    waiting.until("Replay requested: to queue:p5 for target phones")
    operator.replay("a")
    operator.run_to("a", "passed")

    assert waiting.end().code == 0


def test_progress_is_told_on_stderr(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a")
    operator.run("a", pod="tb-1-x")
    waiting.until("a.ts (job a): Running for 0 s in batch tb-1, pod tb-1-x")
    operator.finish("a", "passed")
    waiting.until("a.ts (job a): Passed")

    assert waiting.end().code == 0


def test_quiet_leaves_only_the_result_and_bad_news(cli: Cli, operator: Operator) -> None:
    operator.create("a", maxRetries=0)
    operator.create("b", maxRetries=0)
    operator.run_to("a", "passed")
    operator.run_to("b", "failed", "no")

    assert cli.run("wait", "a", "--quiet").stderr == ""
    assert cli.run("wait", "b", "--quiet").stderr == "qgjob: FAILED: a.spec.ts (job b) failed once: no\n"


def test_a_table_is_for_people(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.run_to("a", "passed")

    answer = cli.run("wait", "a", "-o", "table")

    assert [line.split() for line in answer.stdout.splitlines()] == [
        ["JOB", "STATUS", "TEST", "DETAILS"],
        ["a", "completed", "a.spec.ts", "Passed"],
    ]


def test_ctrl_c_is_130_and_says_that_the_jobs_go_on(cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a")
    waiting.process.send_signal(signal.SIGINT)

    answer = waiting.end()

    assert answer.code == 130
    assert answer.last_line == "qgjob: no longer waiting; the jobs go on in the cluster: qgjob wait a"
    assert operator.job("a")["status"]["phase"] == "Pending"


def test_an_outage_of_the_api_server_is_outlasted(
    crds: ThrowawayControlPlane, cli: Cli, operator: Operator
) -> None:
    waiting = started(cli, operator, "a", "b")
    operator.run_to("a", "passed")
    waiting.until("Passed")

    crds.stop()
    waiting.until("Trying again")
    crds.start()
    operator.run_to("b", "passed")

    assert waiting.end().code == 0


def test_time_over_during_an_outage_is_4(crds: ThrowawayControlPlane, cli: Cli, operator: Operator) -> None:
    waiting = started(cli, operator, "a", options=("--timeout", "3"))
    crds.stop()
    try:
        answer = waiting.end()
    finally:
        crds.start()

    assert answer.code == 4
    assert "INFRASTRUCTURE:" in answer.last_line
    assert crds.url in answer.last_line


def test_many_jobs_are_counted_instead_of_listed(cli: Cli, operator: Operator) -> None:
    names = [f"job-{number}" for number in range(12)]
    for name in names:
        operator.create(name)

    answer = cli.run("wait", *names, "--timeout", "0")

    assert "qgjob: 12 jobs: 12 queued" in answer.stderr
    assert answer.last_line.endswith("and 9 more; it goes on in the cluster")


def test_others_in_the_namespace_are_not_waited_for(cli: Cli, operator: Operator) -> None:
    operator.create("other", appVersionId="app-2")
    waiting = started(cli, operator, "a", "b")
    operator.run_to("other", "failed", "no")
    operator.run_to("a", "passed")
    operator.run_to("b", "passed")

    answer = waiting.end()

    assert answer.code == 0
    assert "other" not in answer.stderr


# submit --wait


def test_submit_waits_and_ends_as_wait_does(cli: Cli, operator: Operator) -> None:
    running = cli.start(
        "submit",
        *NEEDED,
        "--test",
        "a.ts",
        "--job-id",
        "ci-1",
        "--max-retries",
        "0",
        "--wait",
        "--wait-timeout",
        "120",
    )
    running.until("ci-1  a.ts  queued at priority 5 for target phones")
    running.until(FOLLOWED)
    operator.run_to("ci-1", "failed", "no button")

    answer = running.end()

    assert answer.code == 1
    assert answer.json["status"] == "failed"
    assert answer.last_line == "qgjob: FAILED: a.ts (job ci-1) failed once: no button"


def test_submitting_again_waits_for_the_first(cli: Cli, operator: Operator) -> None:
    submission = ("submit", *NEEDED, "--test", "a.ts", "--job-id", "ci-1")
    cli.run(*submission)
    operator.run_to("ci-1", "passed")

    answer = cli.run(*submission, "--wait")

    assert answer.code == 0
    assert "already submitted: Passed" in answer.stderr


def test_a_target_that_is_not_there_is_told_while_waiting(cli: Cli, operator: Operator) -> None:
    running = cli.start(
        "submit", *NEEDED, "--test", "a.ts", "--job-id", "ci-1", "--wait", "--wait-timeout", "120"
    )
    running.until(FOLLOWED)
    operator.set_status("ci-1", {"reason": "TargetNotFound", "message": "no TestTarget 'phones' here"})
    running.until("a.ts (job ci-1): no TestTarget 'phones' here")
    operator.run_to("ci-1", "passed")

    assert running.end().code == 0
