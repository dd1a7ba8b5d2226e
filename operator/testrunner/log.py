"""The pod's log: readable lines, with the part of each TestJob framed so that it can be found again."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import Final, TextIO

#: A line that begins so is the runner's own. `qgjob logs` looks for the lines that `begin` and `end` write.
MARK: Final = "::qgjob::"


class Log:
    """Writes whole lines, from any thread, at once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """A line of the runner's own."""
        self._write(text)

    def output(self, text: str) -> None:
        """A line of a program's output. One that looks like a frame is moved in by a space."""
        self._write(f" {text}" if text.startswith(MARK) else text)

    def begin(self, job: str, attempt: int) -> None:
        """Everything from here to `end` belongs to this TestJob."""
        self._write(f"{MARK} begin {job} attempt={attempt}")

    def end(self, job: str, attempt: int, outcome: str) -> None:
        """The part of this TestJob is over."""
        self._write(f"{MARK} end {job} attempt={attempt} outcome={outcome}")

    def _write(self, text: str) -> None:
        # A reader that has gone away must not end the tests: their results are in the API, not here.
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()
