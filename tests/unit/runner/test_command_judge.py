"""What a test command came to: the whole table, without running anything."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from testrunner.drivers.base import InfrastructureError, TestResult
from testrunner.drivers.judging import compile_patterns, judge
from testrunner.junit import Failure, JUnitSummary
from testrunner.process import ProcessEnd

GREEN = JUnitSummary(cases=2)
RED = JUnitSummary(cases=2, failed=1, failures=[Failure("logs in", "expected Home", "")])
NOTHING = JUnitSummary()


def judged(code: int, summary: JUnitSummary = NOTHING, *, tail: str = "", **options: Any) -> TestResult:
    timed_out = options.pop("timed_out", False)
    end = ProcessEnd(code, timed_out=timed_out, stopped=False, watch_message="", tail=tail)
    return judge(end, summary, timeout_seconds=60, **options)


def test_exit_code_zero_and_green_cases_pass() -> None:
    assert judged(0, GREEN) == TestResult("passed", cases=2)


def test_a_pass_is_never_marked_as_infrastructure() -> None:
    assert judged(0, GREEN, infrastructure_line="device offline (recovered)").outcome == "passed"


def test_all_skipped_passes_and_says_so() -> None:
    result = judged(0, JUnitSummary(cases=2, skipped=2))

    assert (result.outcome, result.message) == ("passed", "every case was skipped")


def test_nothing_reported_is_not_a_pass() -> None:
    result = judged(0, NOTHING, expected_reports="*.xml")

    assert (result.outcome, result.message) == (
        "failed",
        "exit code 0, but no test case was reported in QGJOB_REPORT_DIR/*.xml",
    )


def test_a_broken_report_is_not_a_pass() -> None:
    assert judged(0, NOTHING, report_problem="r.xml can't be read").outcome == "failed"


@pytest.mark.parametrize("code", [0, 1])
def test_a_red_case_fails_whatever_the_exit_code(code: int) -> None:
    result = judged(code, RED)

    assert (result.outcome, result.failed_cases) == ("failed", 1)
    assert result.message == "1 of 2 failed: logs in: expected Home"


def test_an_exit_code_alone_fails_with_the_last_line_said() -> None:
    result = judged(3, GREEN, tail="starting\nTypeError: x is undefined\n\n")

    assert (result.outcome, result.message) == ("failed", "ended with exit code 3: TypeError: x is undefined")


def test_time_that_is_over_is_the_tests_failure() -> None:
    assert judged(-9, timed_out=True) == TestResult("failed", "timed out after 60 s")


@pytest.mark.parametrize("code", [-signal.SIGKILL, 137, -signal.SIGSEGV, 143, 126, 127])
def test_killed_or_not_started_is_infrastructure(code: int) -> None:
    assert judged(code, RED).outcome == "infrastructure"


def test_the_targets_exit_codes_are_infrastructure() -> None:
    assert judged(42, RED, infrastructure_exit_codes=[42]).outcome == "infrastructure"


def test_output_that_the_target_marks_is_infrastructure() -> None:
    result = judged(1, RED, infrastructure_line="adb: device offline")

    assert (result.outcome, result.message) == ("infrastructure", "adb: device offline")


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(InfrastructureError, match=r"'\(' is no regular expression"):
        compile_patterns(["fine", "("])
