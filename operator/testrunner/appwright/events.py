"""What Playwright's events say of a TestJob's attempt. Pure."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from ..drivers.base import TestResult
from .loading import configuration_problem, file_problem
from .project import GENERATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..process import ProcessEnd

#: The API keeps 1 KiB of an attempt's message.
MESSAGE_CHARACTERS: Final = 1000
#: Reasons of what no retry can help.
SOURCE_INVALID: Final = "SourceInvalid"
TEST_NOT_FOUND: Final = "TestNotFound"
NO_TESTS: Final = "Playwright found no test in the file: does the project's testDir and testMatch cover it?"
_NO_TESTS: Final = re.compile(r"No tests found", re.IGNORECASE)

Event = dict[str, Any]


def parse(text: str) -> list[Event]:
    """The events of a file of JSON lines; a last line that was cut off is left out."""
    events = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and "event" in event:
            events.append(event)
    return events


def judge(
    events: Iterable[Event],
    end: ProcessEnd,
    *,
    timeout_seconds: float,
    device_lost: str = "",
    output: str = "",
    readable: Callable[[str], str] = str,
) -> TestResult:
    """What one Playwright process came to.

    A lost device outweighs everything, then the reporter's labels: one infrastructure failure makes the
    attempt one, since the other cases of the file may have failed for the same cause. What can't be loaded
    can't be better next time. `output` is the beginning of what it printed; `readable` makes paths relative
    to the source.
    """
    events = [{**e, "error": readable(str(e["error"]))} if "error" in e else e for e in events]
    cases = [e for e in events if e["event"] == "test-end" and e.get("outcome") != "interrupted"]
    errors = [e for e in events if e["event"] == "error"]
    failed = [e for e in cases if e.get("outcome") not in ("passed", "skipped")]
    skipped = sum(e.get("outcome") == "skipped" for e in cases)
    counts = {"cases": len(cases), "failed_cases": len(failed), "skipped_cases": skipped}
    if device_lost:
        return TestResult("infrastructure", device_lost, device_lost=True, **counts)
    for e in [*failed, *errors]:
        if e.get("kind") == "infrastructure":
            return TestResult("infrastructure", describe(e), **counts)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return TestResult("failed", describe(failed[0])[: MESSAGE_CHARACTERS - len(more)] + more, **counts)
    if end.timed_out:
        return TestResult("failed", f"timed out after {timeout_seconds:g} s", **counts)
    if errors:
        begun = any(e["event"] == "test-begin" for e in events)
        return TestResult("failed", describe(errors[0])) if begun else _not_loaded(errors[0])
    if end.returncode < 0 or end.returncode > 128:
        return TestResult("infrastructure", f"Playwright was killed ({_exit(end)})", **counts)
    if end.returncode != 0:
        if not events and (problem := configuration_problem(output, readable, own=GENERATED)):
            message = f"the configuration can't be loaded: {readable(problem)}"
            return TestResult("failed", message[:MESSAGE_CHARACTERS], final_reason=SOURCE_INVALID)
        return TestResult("failed", f"Playwright ended with {readable(_exit(end))}", **counts)
    if not cases:
        return TestResult("failed", NO_TESTS, final_reason=TEST_NOT_FOUND)
    return TestResult("passed", "every case was skipped" if skipped == len(cases) else "", **counts)


def _not_loaded(error: Event) -> TestResult:
    """The first error of a process that came to no test."""
    text = str(error.get("error", ""))
    if _NO_TESTS.search(text):
        return TestResult("failed", NO_TESTS, final_reason=TEST_NOT_FOUND)
    if problem := file_problem(text):
        return TestResult("failed", _one_line(problem), final_reason=SOURCE_INVALID)
    return TestResult("failed", describe(error))


def describe(event: Event) -> str:
    """A failure in one line: where, which case, and what went wrong."""
    parts = []
    if event.get("file"):
        parts.append(f"{PurePath(str(event['file'])).name}:{event.get('line')}")
    if event.get("title"):
        parts.append(str(event["title"]))
    return ": ".join([*parts, _one_line(str(event.get("error", "")))])[:MESSAGE_CHARACTERS]


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())[:MESSAGE_CHARACTERS]


def _exit(end: ProcessEnd) -> str:
    last = next((line.strip() for line in reversed(end.tail.splitlines()) if line.strip()), "")
    return f"exit code {end.returncode}" + (f": {last}" if last else "")
