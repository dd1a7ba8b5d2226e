"""What each org had of a target's device time, read from its TestBatches.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): an org stands where its last batch began, plus that batch's
device seconds divided by the org's weight. The one that stands lowest is next. Whoever was away begins where the
target stood when it came (the *floor*), so idle time earns nothing; whoever is new, where the furthest of the others
stood, so another id earns nothing either.

Each TestBatch carries the floor and the start of its org (spec.turn), so a new leader finds all accounts in the
objects, and no TestJob needs a write for them. What a batch was expected to take is replaced by what it took: an
account is always added up anew, from its oldest batch that is still known.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testqueue.core.model import BatchView, Turn

#: So many batches of an org, and of a target, are looked at.
_KEPT: Final = 1024


class Charge(NamedTuple):
    """What one batch costs one org. The order is that in which batches were made."""

    created: float
    start: float
    batch: str
    #: None for an org that rides in another one's batch.
    floor: float | None
    weight: float | None
    seconds: float


class Clock(NamedTuple):
    """Where a target stands: the highest start of its batches, and the highest end."""

    start: float
    end: float


class _Made(NamedTuple):
    created: float
    start: float
    batch: str
    floor: float
    end: float


class Ledger:
    """One target's accounts."""

    def __init__(self) -> None:
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)
        self._made: list[_Made] = []
        self._clocks: list[Clock] | None = None
        self._running: Counter[str] = Counter()

    def change(self, old: BatchView | None, new: BatchView | None) -> None:
        """A batch of the target was seen first, has changed, or is gone."""
        for view in (old, new):
            if view is None or view.turn is None:
                continue
            orgs = [org for org, _ in view.costs]
            if view is old:
                self._unmake(view, view.turn)
                for org, charge in zip(orgs, _charges(view, view.turn), strict=True):
                    if not self._accounts[org].remove(charge):
                        del self._accounts[org]
            else:
                self._make(view, view.turn)
                for org, charge in zip(orgs, _charges(view, view.turn), strict=True):
                    self._accounts[org].add(charge)
            if not view.over:
                self._running.update(dict.fromkeys(orgs, -1 if view is old else 1))

    @property
    def orgs(self) -> Iterable[str]:
        """Who had something."""
        return self._accounts.keys()

    def __contains__(self, org: object) -> bool:
        return org in self._accounts

    def running(self, org: str) -> int:
        """Batches with TestJobs of an org that are not over."""
        return self._running[org]

    def level(self, orgs: Iterable[str], weight: float) -> float | None:
        """Where an account stands that is these orgs'; None where they had nothing yet.

        `weight` is what they have now; for batches that were their turn, that of then counts.
        """
        accounts = [self._accounts[org] for org in orgs if org in self._accounts]
        if len(accounts) == 1:
            return accounts[0].level(weight)
        return _level(heapq.merge(*(account.charges for account in accounts)), weight)

    def clock(self, moment: float) -> Clock:
        """Where the target stood when nothing had been made but what was made before a moment."""
        if self._clocks is None:
            starts = accumulate((each.start for each in self._made), max)
            ends = accumulate((each.end for each in self._made), max)
            self._clocks = [Clock(start, end) for start, end in zip(starts, ends, strict=True)]
        before = bisect_left(self._made, (moment,))
        if before:
            return self._clocks[before - 1]
        oldest = self._made[0].floor if self._made else 0.0
        return Clock(oldest, oldest)

    def _make(self, batch: BatchView, turn: Turn) -> None:
        self._clocks = None
        insort(self._made, _made(batch, turn))
        if len(self._made) > _KEPT:
            del self._made[0]

    def _unmake(self, batch: BatchView, turn: Turn) -> None:
        made = _made(batch, turn)
        index = bisect_left(self._made, made)
        if self._made[index : index + 1] == [made]:
            self._clocks = None
            del self._made[index]


class _Account:
    """One org's charges, in order, and where they bring it."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self._level: tuple[float, float | None] | None = None

    def add(self, charge: Charge) -> None:
        insort(self.charges, charge)
        self._level = None
        if len(self.charges) > _KEPT:
            del self.charges[0]

    def remove(self, charge: Charge) -> bool:
        """Take it back; tells whether any is left."""
        index = bisect_left(self.charges, charge)
        if self.charges[index : index + 1] == [charge]:
            self._level = None
            del self.charges[index]
        return bool(self.charges)

    def level(self, weight: float) -> float | None:
        if self._level is None or self._level[0] != weight:
            self._level = (weight, _level(self.charges, weight))
        return self._level[1]


def _level(charges: Iterable[Charge], weight: float) -> float | None:
    level: float | None = None
    for charge in charges:
        if level is None:
            level = charge.start
        elif charge.floor is not None:
            level = max(level, charge.floor)
        level += charge.seconds / (charge.weight or weight)
    return level


def _charges(batch: BatchView, turn: Turn) -> list[Charge]:
    """One for each org of its costs, in their order."""
    made = (batch.created, turn.start, batch.name)
    return [
        Charge(*made, turn.floor, turn.weight, seconds)
        if org == turn.org
        else Charge(*made, None, None, seconds)
        for org, seconds in batch.costs
    ]


def _made(batch: BatchView, turn: Turn) -> _Made:
    end = turn.start + dict(batch.costs).get(turn.org, 0.0) / turn.weight
    return _Made(batch.created, turn.start, batch.name, turn.floor, end)
