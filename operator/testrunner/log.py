"""The pod's log: readable lines, with the part of each TestJob framed so that it can be found again."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from .masking import Masks

if TYPE_CHECKING:
    from pathlib import Path

#: A line that begins so is the runner's own. `qgjob logs` looks for the lines that `begin` and `end` write.
MARK: Final = "::qgjob::"
#: Of a TestJob's part so much is kept beside the pod's log, in bytes.
MAX_COPY_BYTES: Final = 32 * 1024 * 1024


class Log:
    """Writes whole lines, from any thread, at once. Secret values are masked once they are known."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._masks = Masks()
        self._copy: BinaryIO | None = None
        self._room = 0

    def mask(self, masks: Masks) -> None:
        """From now on, these values are not written."""
        self._masks = masks

    def line(self, text: str) -> None:
        """A line of the runner's own, or several."""
        self._write(text)

    def output(self, text: str) -> None:
        """A line of a program's output, or several."""
        self._write(text)

    def begin(self, job: str, attempt: int, copy: Path | None = None) -> None:
        """Everything from here to `end` belongs to this TestJob, and is written to the file `copy` as well."""
        self._write_line(f"{MARK} begin {job} attempt={attempt}")
        if copy is None:
            return
        with self._lock, suppress(OSError):
            self._copy, self._room = copy.open("xb"), MAX_COPY_BYTES

    def end(self, job: str, attempt: int, outcome: str) -> None:
        """The part of this TestJob is over."""
        with self._lock, suppress(OSError):
            copy, self._copy = self._copy, None
            if copy is not None:
                copy.close()
        self._write_line(f"{MARK} end {job} attempt={attempt} outcome={outcome}")

    def _write(self, text: str) -> None:
        """A line that looks like a frame is moved in by a space."""
        text = self._masks.text(text)
        if MARK in text:
            text = "\n".join(f" {line}" if line.startswith(MARK) else line for line in text.split("\n"))
        self._write_line(text)

    def _write_line(self, text: str) -> None:
        with self._lock:
            self._write_copy(text)
            # A reader that has gone away must not end the tests: their results are in the API, not here.
            with suppress(OSError, ValueError):
                self._stream.write(text + "\n")
                self._stream.flush()

    def _write_copy(self, text: str) -> None:
        if self._copy is None or self._room <= 0:
            return
        raw = (text + "\n").encode(errors="replace")
        self._room -= len(raw)
        if self._room <= 0:
            raw = f"(more than {MAX_COPY_BYTES} bytes: the rest was in the pod's log only)\n".encode()
        with suppress(OSError):
            self._copy.write(raw)
            self._copy.flush()
