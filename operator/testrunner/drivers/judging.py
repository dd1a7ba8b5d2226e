"""What a test command came to: by how it ended, what its reports say, and the target's marks. Pure."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Final

from ..process import telling_line
from .base import InfrastructureError, TestResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qgjob.api.lifecycle import OutcomeName

    from ..junit import JUnitSummary
    from ..process import ProcessEnd

# What a shell makes of: a program that can't be executed, one that isn't there.
_NOT_STARTED: Final = {126: "a program could not be executed", 127: "a program was not found"}
# … and of one that a signal killed: 128 + its number. No test says so; the kernel or the node does.
_KILLED: Final = {128 + number: number for number in (signal.SIGKILL, signal.SIGTERM)}


def judge(
    end: ProcessEnd,
    summary: JUnitSummary,
    *,
    timeout_seconds: float,
    report_problem: str = "",
    expected_reports: str = "*.xml",
    infrastructure_exit_codes: Sequence[int] = (),
    infrastructure_line: str = "",
) -> TestResult:
    """What a test command came to, by how it ended and what its reports say. Pure.

    Only exit code 0 with at least one reported case and no failed one is a pass: a command that ran nothing
    must not turn a build green. What did not pass is a test failure, unless the target's exit codes or
    patterns mark it as infrastructure, or the command was killed, or could not be started.
    """

    def result(outcome: OutcomeName, message: str) -> TestResult:
        return TestResult(
            outcome,
            message,
            cases=summary.cases,
            failed_cases=summary.failed,
            skipped_cases=summary.skipped,
        )

    if end.timed_out:
        return result("failed", f"timed out after {timeout_seconds:g} s")
    passed = end.returncode == 0 and not summary.failed
    if end.returncode in infrastructure_exit_codes:
        return result("infrastructure", f"ended with {describe(end)}")
    if end.returncode < 0 or end.returncode in _KILLED or end.returncode in _NOT_STARTED:
        return result("infrastructure", f"ended with {describe(end)}")
    if not passed and infrastructure_line:
        return result("infrastructure", infrastructure_line)
    if summary.failed:
        return result("failed", summary.message())
    if end.returncode != 0:
        return result("failed", f"ended with {describe(end)}")
    if report_problem:
        return result("failed", f"exit code 0, but its report is broken: {report_problem}")
    if summary.cases == 0:
        message = f"exit code 0, but no test case was reported in QGJOB_REPORT_DIR/{expected_reports}"
        return result("failed", message)
    if summary.skipped == summary.cases:
        return result("passed", "every case was skipped")
    return result("passed", "")


def compile_patterns(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """The target's patterns. Raises InfrastructureError where one is no regular expression."""
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        message = (
            f"driver.command.infrastructurePatterns: {error.pattern!r} is no regular expression: {error}"
        )
        raise InfrastructureError(message) from error


def marked_failure(summary: JUnitSummary, patterns: Sequence[re.Pattern[str]]) -> str:
    """The first failure in the reports that a pattern finds, in a line; empty where there is none."""
    for failure in summary.failures:
        if any(pattern.search(failure.text) for pattern in patterns):
            return f"{failure.case}: {failure.message}"
    return ""


def describe(end: ProcessEnd) -> str:
    """How a process ended, and its last words."""
    number = -end.returncode if end.returncode < 0 else _KILLED.get(end.returncode, 0)
    if number:
        try:
            text = f"signal {signal.Signals(number).name}"
        except ValueError:
            text = f"signal {number}"
        if number == signal.SIGKILL:
            text += " (out of memory?)"
    else:
        text = f"exit code {end.returncode}"
        if why := _NOT_STARTED.get(end.returncode):
            text += f" ({why})"
    said = telling_line(end.tail)
    return f"{text}: {said}" if said else text
