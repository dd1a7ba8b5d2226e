"""Reading JUnit XML: how many cases, which failed and why. Whoever wrote the file is not trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: A larger report is not read.
MAX_REPORT_BYTES: Final = 256 * 1024 * 1024
#: Characters of a failure (its message, its text) or a name that are kept, and failures whose text is kept.
_TEXT: Final = 4000
_KEPT: Final = 100
_IN_MESSAGE: Final = 3


class JUnitError(Exception):
    """A file that should be a JUnit report can't be read. The text names it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One case that failed (or ended with an error)."""

    case: str
    #: The framework's message, in one line.
    message: str
    #: Everything that the report says about it.
    text: str


@dataclass(slots=True)
class JUnitSummary:
    """All reports of one test run together."""

    cases: int = 0
    skipped: int = 0
    failed: int = 0
    #: The first hundred; `failed` counts all.
    failures: list[Failure] = field(default_factory=list)

    def message(self) -> str:
        """In a few lines, for a TestJob's status."""
        if not self.failed:
            return ""
        shown = [f"{each.case}: {each.message}" if each.message else each.case for each in self.failures]
        shown = shown[:_IN_MESSAGE]
        if self.failed > len(shown):
            shown.append(f"and {self.failed - len(shown)} more")
        of = f" of {self.cases}" if self.cases > 1 else ""
        return f"{self.failed}{of} failed: " + "; ".join(shown)


def read_reports(files: Iterable[Path]) -> JUnitSummary:
    """Read the files. Raises JUnitError."""
    summary = JUnitSummary()
    for path in files:
        _read(path, summary)
    return summary


def _read(path: Path, summary: JUnitSummary) -> None:
    parser = expat.ParserCreate()
    reader = _Reader(summary)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    # A report needs no entities of its own, and this is how small files become gigabytes.
    parser.EntityDeclHandler = _refuse_entities
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise JUnitError(f"{path.name} is larger than {MAX_REPORT_BYTES} bytes")
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (expat.ExpatError, OSError, ValueError) as error:
        raise JUnitError(f"{path.name} can't be read as JUnit XML: {error}") from error
    if not reader.is_junit:
        raise JUnitError(f"{path.name} is XML, but no JUnit report")


def _refuse_entities(*_: Any) -> None:
    raise ValueError("it declares entities")


class _Reader:
    """Takes the parser's events of one file."""

    def __init__(self, summary: JUnitSummary) -> None:
        self._summary = summary
        self.is_junit = False
        self._suites: list[str] = []
        self._case: str | None = None
        self._case_failed = False
        self._in_failure = False
        self._message = ""
        self._text: list[str] = []
        self._length = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "testsuites":
                self.is_junit = True
            case "testsuite":
                self.is_junit = True
                self._suites.append(attributes.get("name", "")[:_TEXT])
            case "testcase":
                self.is_junit = True
                self._summary.cases += 1
                self._case = attributes.get("name", "")[:_TEXT]
                self._case_failed = False
            case "skipped" if self._case is not None:
                self._summary.skipped += 1
            case "failure" | "error" if self._case is not None or self._suites:
                self._in_failure = True
                self._message = attributes.get("message", "")[:_TEXT]
                self._text, self._length = [], 0

    def text(self, data: str) -> None:
        if self._in_failure and self._length < _TEXT:
            self._text.append(data[: _TEXT - self._length])
            self._length += len(data)

    def end(self, tag: str) -> None:
        match tag:
            case "testsuite":
                self._suites.pop()
            case "testcase":
                self._case = None
            case "failure" | "error" if self._in_failure:
                self._in_failure = False
                self._failure()

    def _failure(self) -> None:
        # A case may carry several failures, or a failure and an error: it failed once.
        if self._case is not None and self._case_failed:
            return
        self._case_failed = self._case is not None
        self._summary.failed += 1
        if len(self._summary.failures) >= _KEPT:
            return
        text = "".join(self._text).strip()
        first = next(iter((self._message.strip() or text).splitlines()), "")
        # Outside a case the suite itself failed: its set-up, or a file that doesn't compile.
        suite = self._suites[-1] if self._suites else ""
        name = suite if self._case is None else self._case
        self._summary.failures.append(Failure(name, first, f"{self._message}\n{text}"))
