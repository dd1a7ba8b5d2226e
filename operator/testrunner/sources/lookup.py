"""Finding a TestJob's test in its source, before a framework is started for nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..drivers.base import SubmitterError

if TYPE_CHECKING:
    from pathlib import Path

# What frameworks put behind the file's path: `:12` (a line), `::name` (pytest), `#method`.
_SELECTOR = re.compile(r"(::.*|#.*|:\d+(:\d+)?)$")


def require_source(source: Path) -> None:
    """Raises SubmitterError (SourceInvalid) where there are no test files at all: nobody named a source."""
    if not any(source.iterdir()):
        raise SubmitterError(
            "SourceInvalid",
            "there are no test files: neither the TestJob nor its TestTarget names a source "
            "(qgjob submit --source-dir or --git, or the target's spec.source)",
        )


def require_test(source: Path, test: str) -> None:
    """Raises SubmitterError (TestNotFound) where the source has no such file; an empty source has no say."""
    path = _SELECTOR.sub("", test)
    try:
        if (source / path).exists() or not any(source.iterdir()):
            return
    except OSError:
        pass  # a name too long to be a file's
    raise SubmitterError(
        "TestNotFound", f"the source has no file {path!r}: check the TestJob's test and source"
    )
