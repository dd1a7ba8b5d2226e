"""One Playwright process for one TestJob, wherever its device is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..drivers.base import TestRun
    from .kit import Kit
    from .project import Project

#: Playwright ends a test at its timeout and says where it stood; only when it can't, the process is stopped.
OVERTIME_SECONDS: Final = 10.0
#: Lines of its output that are kept.
FIRST_LINES: Final = 200
#: From SIGINT, after which Playwright closes its session, to SIGKILL.
GRACE_SECONDS: Final = 5.0
# Playwright's workers colour what they print, whatever they are told.
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Output:
    """Hands its output on without colours, line by line, and keeps the beginning."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._first: list[str] = []

    def line(self, line: str) -> None:
        """Takes a line."""
        line = _COLOURS.sub("", line)
        if len(self._first) < FIRST_LINES:
            self._first.append(line)
        self._log(line)

    @property
    def beginning(self) -> str:
        """Its first lines: before any reporter, a configuration's error stands there, with a long trace behind it."""
        return "\n".join(self._first)


def command(kit: Kit, project: Project, test: TestRun, *, html: bool) -> list[str]:
    """The command line; with `html`, a report for people is written too."""
    milliseconds = max(1, round(test.timeout_seconds * 1000))
    return [
        "node", str(project.cli), "test", project.filter(test.test),
        "--config", str(project.config),
        "--workers", "1", "--retries", "0", "--timeout", str(milliseconds),
        "--output", str(test.report_dir / "artifacts"),
        f"--reporter=list,junit,{'html,' if html else ''}{kit.reporter}",
    ]  # fmt: skip


def events_file(test: TestRun) -> Path:
    """Where kit/reporter.cjs writes what happens."""
    return test.report_dir / "events.jsonl"


def reports_environment(test: TestRun, project: str | None) -> dict[str, str]:
    """Where reports go, and which of the configuration's projects runs."""
    return {
        "QGJOB_EVENTS": str(events_file(test)),
        "QGJOB_PLAYWRIGHT_PROJECT": project or "",
        "PLAYWRIGHT_JUNIT_OUTPUT_FILE": str(test.report_dir / "junit.xml"),
        "PLAYWRIGHT_HTML_OUTPUT_DIR": str(test.report_dir / "html-report"),
        "PLAYWRIGHT_HTML_OPEN": "never",
    }


def taste(workdir: Path) -> dict[str, str]:
    """What the target's and the TestJob's variables may change."""
    return {
        "FORCE_COLOR": "0",
        "WDIO_LOG_LEVEL": "warn",
        # Every TestJob is a process of its own; from Node 22 on the later ones find Playwright compiled.
        "NODE_COMPILE_CACHE": str(workdir / "node-cache"),
        # By content, so that it may be shared by tests whose temporary folders are their own.
        "PWTEST_CACHE_DIR": str(workdir / "playwright-cache"),
    }
