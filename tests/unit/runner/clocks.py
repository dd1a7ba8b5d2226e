"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from testrunner.clock import Clock


class HandClock:
    """Turned by hand; sleeping turns it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, now=self._now, sleep=self.advance)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def _now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)
