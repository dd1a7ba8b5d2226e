"""What happened on the phone, as the phone saw it: the evidence for "installed once" and "never run twice at once"."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any, TextIO

Event = dict[str, Any]

KEPT_EVENTS = 100_000


class Journal:
    """An event log, in memory for GET /log and as JSON lines on a stream.

    Every event has `t` (Unix seconds), `time` (the same, RFC 3339) and `event`. Routine events (each shell
    command) are written only where `verbose`, and never kept.
    """

    def __init__(self, stream: TextIO | None = sys.stdout, *, verbose: bool = False) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.counts: Counter[str] = Counter()
        self._stream = stream
        self._verbose = verbose

    def note(self, event: str, **fields: Any) -> None:
        entry = self._entry(event, fields)
        self.events.append(entry)
        self.counts[event] += 1
        self._write(entry)

    def routine(self, event: str, **fields: Any) -> None:
        if self._verbose:
            self._write(self._entry(event, fields))

    def lines(self, only: str | None = None) -> str:
        """The kept events as JSON lines; `only` keeps those of one kind."""
        return "".join(json.dumps(e) + "\n" for e in self.events if only is None or e["event"] == only)

    @staticmethod
    def _entry(event: str, fields: Event) -> Event:
        now = time.time()
        stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"t": round(now, 3), "time": stamp, "event": event, **fields}

    def _write(self, entry: Event) -> None:
        if self._stream is not None:
            self._stream.write(json.dumps(entry) + "\n")
            self._stream.flush()
