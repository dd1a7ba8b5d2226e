"""Why Playwright could not load what was submitted: a test file, what it imports, or the configuration. Pure.

Only what another try would meet again is told as such. A file that throws while it is loaded (it may have asked a
server), a full disk, or a runner without Playwright are none of it.

A test chooses its errors, and while a pattern is searched for nothing else of this process goes on, its fence
included. So none may take long: neighbouring parts share no characters, and only the beginning is looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Characters of an error, or of an output, that are looked at.
_LOOKED_AT: Final = 8 * 1024
#: Babel's: `SyntaxError: /path/a.spec.ts: Unexpected token (3:0)`, wherever the file was imported from.
_PARSER: Final = re.compile(
    r"SyntaxError(?: \[Error\])?: (?P<file>[^\n:]+): (?P<words>[^\n]+?) \((?P<line>\d+):\d+\)"
)
_SYNTAX: Final = re.compile(r"\bSyntaxError(?: \[Error\])?: (?!.*\bJSON\b)")
_MODULE: Final = re.compile(r"Cannot find (?:module|package) '(?P<name>[^']+)'")
#: Playwright's own words on a file that loads, and says what can't be.
_CONTRADICTION: Final = re.compile(r"duplicate test title|has unknown parameter|\bReferenceError: ")
_THROWN: Final = re.compile(
    r"^[ \t]*(?:Uncaught )?(?P<error>(?:[A-Z]\w*)?Error(?: \[\w+\])?: .+)$", re.MULTILINE
)
_PLACE: Final = re.compile(
    r"^[ \t]+at .*?\(?(?:file://)?(?P<file>/[^\s():]+):(?P<line>\d+):\d+\)?", re.MULTILINE
)
#: How Node prints an error of the system (a full disk, no network).
_SYSTEM: Final = re.compile(r"^[ \t]*(?:errno|syscall): ", re.MULTILINE)
_FRAME: Final = re.compile(r"\n\s*+(?:>?\s*+\d+ \||Require stack:).*", re.DOTALL)

NOT_INSTALLED: Final = (
    "no such package is installed: see 'npm packages' in docs/sources.md for the ways to bring it"
)


def file_problem(error: str) -> str:
    """What is wrong with a test file, of an error that came before any test; empty where it may pass next time."""
    error = error[:_LOOKED_AT]
    if found := _PARSER.search(error):
        return f"{found['file']}:{found['line']}: SyntaxError: {found['words']}"
    if found := _MODULE.search(error):
        return _without_frame(error) + _hint(found["name"])
    if _SYNTAX.search(error) or _CONTRADICTION.search(error):
        return _without_frame(error)
    return ""


def configuration_problem(output: str, readable: Callable[[str], str], *, own: str) -> str:
    """What is wrong with the configuration, of the output of a Playwright that never got as far as its reporters.

    `readable` makes paths in the source relative to it; `own` is the name of the file that the runner adds, which
    is not to blame. Empty where the error did not come from the source.
    """
    output = output[:_LOOKED_AT]
    thrown = _THROWN.search(output)
    if thrown is None or _SYSTEM.search(output):
        return ""
    trace = output[thrown.start() :]
    if readable(trace) == trace:
        return ""
    error = thrown["error"]
    if found := _PARSER.search(error):
        return f"{found['file']}:{found['line']}: SyntaxError: {found['words']}"
    place = next(
        (
            f"{found['file']}:{found['line']}: "
            for found in _PLACE.finditer(trace)
            if readable(found["file"]) != found["file"]
            and "/node_modules/" not in found["file"]
            and not found["file"].endswith(f"/{own}")
        ),
        "",
    )
    missing = _MODULE.search(error)
    return f"{place}{error}{_hint(missing['name']) if missing else ''}"


def _without_frame(error: str) -> str:
    return _FRAME.sub("", error, count=1).rstrip()


def _hint(module: str) -> str:
    return "" if module.startswith((".", "/")) else f": {NOT_INSTALLED}"
