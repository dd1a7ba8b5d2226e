"""What Playwright's events come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testrunner.appwright.events import MESSAGE_CHARACTERS, judge, parse
from testrunner.appwright.loading import NOT_INSTALLED
from testrunner.process import ProcessEnd
from testrunner.readable_paths import ReadablePaths


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
        ([error("/s/a.ts:2: Error: no SHOP_URL")], end(1), "failed", "Error: no SHOP_URL"),
        ([error("ENOSPC: no space left", "infrastructure")], end(1), "infrastructure", "ENOSPC"),
        ([], end(1, tail="boom\n"), "failed", "exit code 1: boom"),
        ([], end(-9), "infrastructure", "killed"),
        ([], end(-9, timed_out=True), "failed", "timed out after 60 s"),
        ([case("timedOut", error="Test timeout of 60000ms exceeded.")], end(1), "failed", "Test timeout"),
        ([case("skipped")], end(0), "passed", "every case was skipped"),
    ],
)
def test_outcomes(events: list[dict[str, Any]], ended: ProcessEnd, outcome: str, message: str) -> None:
    result = judge(events, ended, timeout_seconds=60)

    assert (result.outcome, result.final_reason) == (outcome, "")
    assert message in result.message


FRAME = '\n\n  1 | import { test } from "appwright";\n> 2 | const a = ;\n    |           ^\n  3 |'


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        (
            f"/s/tests/a.spec.ts:2: SyntaxError: /s/tests/a.spec.ts: Unexpected token (2:10){FRAME}",
            "SourceInvalid",
            "tests/a.spec.ts:2: SyntaxError: Unexpected token",
        ),
        (
            f"/s/tests/a.spec.ts:1: SyntaxError: /s/lib/page.ts: Unexpected token (2:10){FRAME}",
            "SourceInvalid",
            "lib/page.ts:2: SyntaxError: Unexpected token",
        ),
        (
            "/s/tests/a.spec.ts:1: Error: Cannot find module './page'\nRequire stack:\n- /s/tests/a.spec.ts\n- /kit/x",
            "SourceInvalid",
            "tests/a.spec.ts:1: Error: Cannot find module './page'",
        ),
        (
            "/s/tests/a.spec.ts:1: Error: Cannot find package 'zod' imported from /s/tests/a.spec.ts",
            "SourceInvalid",
            f"tests/a.spec.ts:1: Error: Cannot find package 'zod' imported from tests/a.spec.ts: {NOT_INSTALLED}",
        ),
        (
            '/s/tests/a.spec.ts:9: Error: duplicate test title "x", first declared in a.spec.ts:2',
            "SourceInvalid",
            'tests/a.spec.ts:9: Error: duplicate test title "x", first declared in a.spec.ts:2',
        ),
        (
            "Error: No tests found.\nMake sure",
            "TestNotFound",
            "Playwright found no test in the file: does the project's testDir and testMatch cover it?",
        ),
    ],
    ids=["syntax", "syntax in an import", "module", "package", "contradiction", "no tests"],
)
def test_what_can_not_be_loaded_is_final_and_says_where(text: str, reason: str, message: str) -> None:
    events = [{"event": "begin"}, error(text), error("Error: No tests found.")]

    result = judge(events, end(1), timeout_seconds=60, readable=ReadablePaths(Path("/s")).text)

    assert (result.outcome, result.final_reason, result.message) == ("failed", reason, message)


@pytest.mark.parametrize(
    "text",
    [
        "/s/tests/a.spec.ts:2: Error: HTTP 503 of the test data",
        "/s/tests/a.spec.ts:2: SyntaxError: Unexpected token '<', \"<html>\" is not valid JSON",
        "/s/tests/a.spec.ts:2: TypeError: fetch failed",
    ],
)
def test_what_a_file_throws_while_it_is_loaded_may_be_another_thing_next_time(text: str) -> None:
    assert judge([error(text)], end(1), timeout_seconds=60).final_reason == ""


def test_an_error_that_comes_once_tests_have_begun_is_no_matter_of_loading() -> None:
    events = [{"event": "test-begin"}, error("SyntaxError: /s/a.ts: Unexpected token (2:10)")]

    assert judge(events, end(1), timeout_seconds=60).final_reason == ""


def test_an_infrastructure_failure_while_loading_stays_one() -> None:
    events = [error("ENOSPC: no space left", "infrastructure"), error("Error: Cannot find module './a'")]

    assert judge(events, end(1), timeout_seconds=60).outcome == "infrastructure"


STACK_OF_ADAPTER = """
    at choose (/kit/project.cjs:27:35)
    at Object.<anonymous> (/s/qgjob.generated.config.ts:5:23)
"""
STACK = """
    at Object.<anonymous> (/s/appwright.config.ts:19:7)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)
    at Object.<anonymous> (/s/qgjob.generated.config.ts:2:1)
    at requireOrImport (/kit/node_modules/playwright/lib/transform/transform.js:218:18)
"""


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (f"Error: no SHOP_URL{STACK}", "appwright.config.ts:19: Error: no SHOP_URL"),
        (
            f"SyntaxError: /s/appwright.config.ts: Unexpected token (1:16)\n\n> 1 | export {STACK}",
            "appwright.config.ts:1: SyntaxError: Unexpected token",
        ),
        (
            f"Error: Cannot find module 'zod'\nRequire stack:\n- /s/appwright.config.ts{STACK}",
            "appwright.config.ts:19: Error: Cannot find module 'zod': no such package is installed",
        ),
        (
            f"Error: The configuration has no project for Android (it has: none).{STACK_OF_ADAPTER}",
            "Error: The configuration has no project for Android (it has: none).",
        ),
    ],
    ids=["throws", "syntax", "package", "no project"],
)
def test_a_configuration_that_can_not_be_loaded_is_final_and_says_where(output: str, message: str) -> None:
    result = judge([], end(1), timeout_seconds=60, output=output, readable=ReadablePaths(Path("/s")).text)

    assert (result.outcome, result.final_reason) == ("failed", "SourceInvalid")
    assert result.message.startswith(f"the configuration can't be loaded: {message}")


@pytest.mark.parametrize(
    "output",
    [
        "Error: Cannot find module '/kit/node_modules/@playwright/test/cli.js'\n    at node:internal/modules:1:1",
        f"Error: ENOSPC: no space left on device, write{STACK}  errno: -28,\n  syscall: 'write'",
        "out of luck",
    ],
    ids=["no Playwright", "full disk", "no error"],
)
def test_what_is_not_the_configurations_fault_is_not_held_against_it(output: str) -> None:
    result = judge([], end(1), timeout_seconds=60, output=output, readable=ReadablePaths(Path("/s")).text)

    assert result.final_reason == ""


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


def test_a_line_that_no_reporter_writes_is_no_event() -> None:
    assert parse("[" * 100_000 + '\n{"event": "test-begin"}\n') == [{"event": "test-begin"}]
