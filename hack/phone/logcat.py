"""The phone's log: what Android would write of installs, starts, taps and crashes (`logcat -v threadtime`)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

BEGINNING = "--------- beginning of main\n"
KEPT_ENTRIES = 10_000
_SYSTEM_PID = 1200


@dataclass(frozen=True)
class Entry:
    """One line. `time` is Unix seconds."""

    time: float
    pid: int
    level: str
    tag: str
    message: str

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.time, UTC)
        stamp = moment.strftime("%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"
        return f"{stamp} {self.pid:5} {self.pid:5} {self.level} {self.tag}: {self.message}\n"


class Logcat:
    """A ring of entries, and whoever waits for new ones."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, Entry]] = deque(maxlen=KEPT_ENTRIES)
        self._count = 0
        self._changed = asyncio.Event()

    def write(self, tag: str, message: str, *, level: str = "I", pid: int = _SYSTEM_PID) -> None:
        for line in message.splitlines():
            self._count += 1
            self._entries.append((self._count, Entry(time.time(), pid, level, tag, line)))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def clear(self) -> None:
        self._entries.clear()

    def dump(self, last: int | None = None) -> str:
        """What is kept, or so many of the newest lines of it."""
        entries = [str(entry) for _, entry in self._entries]
        return "".join(entries if last is None else entries[len(entries) - min(last, len(entries)) :])

    @property
    def position(self) -> int:
        """Where the newest entry is; `after` goes on from there."""
        return self._count

    async def after(self, position: int) -> str:
        """The entries after a position, as soon as there are any."""
        while self._count <= position:
            await self._changed.wait()
        return "".join(str(entry) for number, entry in self._entries if number > position)
