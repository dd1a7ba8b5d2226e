"""What is told to people while something is under way. All of it goes to stderr; stdout is for results."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

TERMINAL_INTERVAL_SECONDS = 0.5
PLAIN_INTERVAL_SECONDS = 15.0


@dataclass
class Report:
    """Writes lines, and on a terminal one line that is updated in place."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _transient: bool = field(default=False, init=False)
    _last_progress: float = field(default=0.0, init=False)

    def say(self, text: str) -> None:
        """Write one line that stays."""
        self._clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def progress(self, text: str) -> None:
        """Show how far something is: in place on a terminal, else as a line every 15 seconds at most."""
        terminal = self.stream.isatty()
        interval = TERMINAL_INTERVAL_SECONDS if terminal else PLAIN_INTERVAL_SECONDS
        now = time.monotonic()
        if now - self._last_progress < interval:
            return
        self._last_progress = now
        if terminal:
            self.stream.write(f"\r\x1b[2K{text}")
            self._transient = True
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _clear(self) -> None:
        if self._transient:
            self.stream.write("\r\x1b[2K")
            self._transient = False


def format_seconds(seconds: float) -> str:
    """Write a duration as people say it: `4.2 s`, `3 min 07 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
