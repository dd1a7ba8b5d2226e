"""One test's part of a runner's log, by the lines that the runner frames it with. Pure."""

from __future__ import annotations

import re
from typing import Final

_FRAME: Final = re.compile(
    r"^::qgjob:: (?P<word>begin|end) (?P<job>\S+) attempt=(?P<attempt>\d+)(?: outcome=(?P<outcome>\S+))?$"
)


class Part:
    """Picks the lines of one attempt of one TestJob out of its pod's log, fed line by line."""

    def __init__(self, job: str, attempt: int) -> None:
        self._job = job
        self._attempt = attempt
        self.begun = False
        self.ended = False
        self.outcome = ""

    def feed(self, line: str) -> str | None:
        """The line if it belongs to the part, else None."""
        if frame := _FRAME.match(line):
            if frame["job"] == self._job and int(frame["attempt"]) == self._attempt:
                self.begun = True
                if frame["word"] == "end":
                    self.ended = True
                    self.outcome = frame["outcome"] or ""
            return None
        return line if self.begun and not self.ended else None
