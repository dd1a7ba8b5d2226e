"""How long a new lane may grow before its first batch: whoever submits thirty tests creates one after another.

A batch that took the first few would cost the others an install of their own. Only what has just come is waited
for: a lane that was there while no device was free has grown long since.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testqueue.core.model import Lane

#: Nobody waits longer for those that may still come, in seconds.
LONGEST_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Growth:
    began: float
    changed: float
    changes: int


class Gathering:
    """Remembers which lanes grew lately; all of it may be forgotten."""

    def __init__(self, quiet_seconds: float) -> None:
        """A lane has gathered when nobody has joined it for so long; 0: at once."""
        self._quiet = quiet_seconds
        self._growing: dict[Lane, _Growth] = {}

    def until(self, lane: Lane, *, queued: float, changes: int, now: float) -> float:
        """Until when its first batch should wait; not after `now` where it should not.

        `queued` is when its first TestJob came into the line, `changes` counts up whenever somebody joins it.
        """
        if self._quiet <= 0 or now - queued > LONGEST_SECONDS:
            return now
        seen = self._growing.get(lane)
        if seen is None:
            self._forget_the_old(now)
            seen = _Growth(now, now, changes)
        elif seen.changes != changes:
            seen = replace(seen, changed=now, changes=changes)
        self._growing[lane] = seen
        return min(seen.changed + self._quiet, seen.began + LONGEST_SECONDS)

    def _forget_the_old(self, now: float) -> None:
        self._growing = {
            lane: growth for lane, growth in self._growing.items() if now - growth.began <= LONGEST_SECONDS
        }
