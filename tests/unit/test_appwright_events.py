"""What Playwright's events come to."""

from __future__ import annotations

from typing import Any

import pytest

from testrunner.appwright.events import MESSAGE_CHARACTERS, judge, parse
from testrunner.process import ProcessEnd


def end(returncode: int = 0, *, timed_out: bool = False, tail: str = "") -> ProcessEnd:
    return ProcessEnd(returncode, timed_out, stopped=False, watch_message="", tail=tail)


def case(outcome: str = "passed", kind: str = "test", error: str = "Error: no") -> dict[str, Any]:
    event = {
        "event": "test-end",
        "file": "/s/tests/a.spec.ts",
        "line": 3,
        "title": "logs in",
        "outcome": outcome,
    }
    return event if outcome in ("passed", "skipped") else {**event, "kind": kind, "error": error}


def error(text: str, kind: str = "test") -> dict[str, Any]:
    return {"event": "error", "kind": kind, "error": text}


def test_all_cases_passed() -> None:
    result = judge([case(), case("skipped"), case()], end(), timeout_seconds=60)

    assert (result.outcome, result.cases, result.failed_cases, result.skipped_cases) == ("passed", 3, 0, 1)


def test_a_failed_case_says_where_and_why_in_one_line() -> None:
    failed = case("failed", error="Error: expect(1)\n\n  Expected: 2\n  Received: 1")

    result = judge([case(), failed], end(1), timeout_seconds=60)

    assert result.outcome == "failed"
    assert result.message == "a.spec.ts:3: logs in: Error: expect(1) Expected: 2 Received: 1"


def test_one_infrastructure_failure_makes_the_attempt_one() -> None:
    events = [case("failed"), case("failed", "infrastructure", "ECONNREFUSED")]

    assert judge(events, end(1), timeout_seconds=60).outcome == "infrastructure"


@pytest.mark.parametrize(
    ("events", "ended", "outcome", "message"),
    [
        ([error("SyntaxError: x.ts: Unexpected token")], end(1), "failed", "SyntaxError"),
        ([error("Error: No tests found.\nMake sure")], end(1), "failed", "found no test in the file"),
        ([error("ENOSPC: no space left", "infrastructure")], end(1), "infrastructure", "ENOSPC"),
        ([], end(1, tail="boom\n"), "failed", "exit code 1: boom"),
        ([], end(-9), "infrastructure", "killed"),
        ([], end(0), "failed", "found no test"),
        ([], end(-9, timed_out=True), "failed", "timed out after 60 s"),
        ([case("timedOut", error="Test timeout of 60000ms exceeded.")], end(1), "failed", "Test timeout"),
        ([case("skipped")], end(0), "passed", "every case was skipped"),
    ],
)
def test_outcomes(events: list[dict[str, Any]], ended: ProcessEnd, outcome: str, message: str) -> None:
    result = judge(events, ended, timeout_seconds=60)

    assert result.outcome == outcome
    assert message in result.message


def test_a_lost_device_outweighs_what_the_cases_say() -> None:
    result = judge([case("failed")], end(1), timeout_seconds=60, device_lost="device phone-1 is lost")

    assert (result.outcome, result.device_lost, result.message) == (
        "infrastructure",
        True,
        "device phone-1 is lost",
    )


def test_a_long_message_is_cut() -> None:
    result = judge([case("failed", error="x" * 5000)] * 3, end(1), timeout_seconds=60)

    assert len(result.message) == MESSAGE_CHARACTERS
    assert result.message.endswith("(and 2 more)")


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert parse('{"event": "begin"}\n{"event": "test-e') == [{"event": "begin"}]
