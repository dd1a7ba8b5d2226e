"""The exit code of waiting, and its last line."""

from __future__ import annotations

import pytest

from qgjob.cli.exits import Exit
from qgjob.cli.verdict import Verdict, Waited, judge
from tests.unit.cli import jobs

PASSED = jobs.passed(jobs.pending("p"))
DEAD = jobs.dead(jobs.pending("d"))
BROKEN = jobs.broken(jobs.pending("b"))
CANCELLED = jobs.cancelled(jobs.pending("c"))
WAITING = jobs.pending("w")
INVALID = jobs.ended(jobs.pending("i"), "failed", "no app app-1", final_reason="AppVersionNotFound")
FAILED_ONCE = jobs.ended(jobs.pending("f"), "failed", "no button")
BROKEN_ONCE = jobs.ended(jobs.pending("i"), "infrastructure", "device lost")


def verdict(*those: jobs.Object, unreachable: str = "") -> Verdict:
    waited = [Waited(job["metadata"]["name"], job) for job in those]
    return judge(waited, timeout=180, unreachable=unreachable)


@pytest.mark.parametrize(
    ("those", "code", "line"),
    [
        ([PASSED], Exit.PASSED, "PASSED: tests/login.spec.ts (job p) passed"),
        ([PASSED, PASSED], Exit.PASSED, "PASSED: all 2 tests passed"),
        (
            [DEAD],
            Exit.FAILED,
            'FAILED: tests/login.spec.ts (job d) failed 4 times: Expected "Items: 3"',
        ),
        (
            [BROKEN],
            Exit.INFRASTRUCTURE,
            "INFRASTRUCTURE: tests/login.spec.ts (job b) infrastructure failed twice: the device went away",
        ),
        ([CANCELLED], Exit.CANCELLED, "CANCELLED: tests/login.spec.ts (job c) was cancelled"),
        (
            [WAITING],
            Exit.TIMEOUT,
            "TIMEOUT after 3 min: tests/login.spec.ts (job w) is still queued; it goes on in the cluster",
        ),
        (
            [jobs.replayed(DEAD)],
            Exit.TIMEOUT,
            "TIMEOUT after 3 min: tests/login.spec.ts (job d) is still queued; it goes on in the cluster",
        ),
        (
            [FAILED_ONCE],
            Exit.FAILED,
            "FAILED: tests/login.spec.ts (job f) failed once: no button and is waiting for its retry",
        ),
        (
            [jobs.running(FAILED_ONCE)],
            Exit.FAILED,
            "FAILED: tests/login.spec.ts (job f) failed once: no button and is running again",
        ),
        (
            [jobs.scheduled(BROKEN_ONCE)],
            Exit.INFRASTRUCTURE,
            (
                "INFRASTRUCTURE: tests/login.spec.ts (job i) met an infrastructure failure once: device lost "
                "and is queued again"
            ),
        ),
    ],
)
def test_one_kind(those: list[jobs.Object], code: Exit, line: str) -> None:
    assert verdict(*those) == Verdict(code, line)


@pytest.mark.parametrize(
    ("those", "code"),
    [
        ([PASSED, WAITING, CANCELLED, BROKEN, INVALID, DEAD], Exit.FAILED),
        ([PASSED, WAITING, CANCELLED, BROKEN, INVALID], Exit.USAGE),
        ([PASSED, WAITING, CANCELLED, BROKEN, FAILED_ONCE], Exit.FAILED),
        ([PASSED, WAITING, CANCELLED, BROKEN], Exit.INFRASTRUCTURE),
        ([PASSED, WAITING, CANCELLED, BROKEN_ONCE], Exit.INFRASTRUCTURE),
        ([PASSED, WAITING, CANCELLED], Exit.CANCELLED),
        ([PASSED, WAITING], Exit.TIMEOUT),
    ],
)
def test_the_worst_news_wins(those: list[jobs.Object], code: Exit) -> None:
    assert verdict(*those).code is code


def test_what_can_not_be_run_as_it_was_submitted_is_told_apart_from_tests_that_failed() -> None:
    assert verdict(INVALID) == Verdict(
        Exit.USAGE, "INVALID: tests/login.spec.ts (job i) can't be run: AppVersionNotFound: no app app-1"
    )


def test_the_line_names_three_and_counts_the_rest() -> None:
    dead = [jobs.dead(jobs.pending(f"d{number}", test=f"t{number}.ts"), "no") for number in range(5)]

    assert verdict(PASSED, *dead).line == (
        "FAILED: 5 of 6 tests: t0.ts (job d0) failed 4 times: no; t1.ts (job d1) failed 4 times: no; "
        "t2.ts (job d2) failed 4 times: no; and 2 more"
    )


def test_the_line_is_one_line_however_long_the_message_is() -> None:
    line = verdict(jobs.dead(jobs.pending("d"), "Error:\n  at login\n" + "x" * 900)).line

    assert "\n" not in line
    assert len(line) < 400
    assert line.endswith("…")


def test_an_exceptional_reason_to_wait_is_told() -> None:
    job = jobs.with_status(
        jobs.pending("t"), {"reason": "TargetNotFound", "message": "no TestTarget 'phones'"}
    )

    assert "is still queued: no TestTarget 'phones'" in verdict(job).line


def test_a_deleted_job_counts_as_cancelled() -> None:
    deleted = Waited("gone", jobs.running(jobs.pending("gone")), deleted=True)

    assert judge([deleted], timeout=1) == Verdict(
        Exit.CANCELLED, "CANCELLED: tests/login.spec.ts (job gone) was deleted before it was over"
    )


def test_a_server_that_does_not_answer_is_infrastructure_and_no_timeout() -> None:
    assert verdict(WAITING, unreachable="no answer from https://x").code is Exit.INFRASTRUCTURE


def test_a_known_failure_outweighs_a_server_that_does_not_answer() -> None:
    assert verdict(DEAD, WAITING, unreachable="no answer from https://x").code is Exit.FAILED
