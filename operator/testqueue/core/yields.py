"""When a batch that runs makes room for somebody much more urgent: at its next test boundary, with no test interrupted.

What it has not started goes back into the line, and costs an install again. Without limits a steady trickle of urgent
TestJobs would have slots do little else than install.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from qgjob.api import lifecycle
from testqueue.core.order import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import BatchView, Key
    from testqueue.core.store import Store

#: How much more urgent than all that the batch has left, in ageing steps.
STEPS: Final = 3
#: All batches of a target are looked at for this, so not in every pass.
PAUSE_SECONDS: Final = 1.0


class _Outlook(NamedTuple):
    """What a batch has left: seconds until its next boundary and its end, and its most urgent score, if any."""

    batch: BatchView
    boundary: float
    end: float
    score: float | None


class Yields:
    """Which batch is to yield. Remembers only when it last looked at which target."""

    def __init__(self, store: Store, estimates: Estimates) -> None:
        self._store = store
        self._estimates = estimates
        self._looked: dict[Key, float] = {}

    def is_time(self, target: Key, now: float) -> bool:
        """Whether to look at a target again."""
        return now >= self._looked.get(target, -math.inf) + PAUSE_SECONDS

    def choose(
        self, target: Key, live: Sequence[BatchView], urgent: float | None, now: float
    ) -> BatchView | None:
        """The batch, of those that run, that makes room for the score whose turn is next; None where none should.

        One at a time; once tests have run for as long as its install took; and only where no slot is free about as soon
        by itself.
        """
        self._looked[target] = now
        if urgent is None or not live or any(batch.yields for batch in live):
            return None
        install = self._estimates.install(target)
        outlooks = [self._outlook(batch, install) for batch in live]
        soonest = min(outlook.end for outlook in outlooks)
        far = urgent + STEPS * self._store.ageing_seconds
        willing = [
            (-outlook.score, outlook.boundary, outlook.batch.name, outlook.batch)
            for outlook in outlooks
            if outlook.score is not None
            and outlook.score >= far
            and outlook.boundary + install < soonest
            and _was_worth_it(outlook.batch, now)
        ]
        return min(willing, key=lambda each: each[:3])[-1] if willing else None

    def _outlook(self, batch: BatchView, install: float) -> _Outlook:
        claimed = self._store.claimed(batch.key)
        left = [job for job in claimed if job.phase == lifecycle.SCHEDULED]
        boundary = sum(self._estimates.test(job) for job in claimed if job.phase == lifecycle.RUNNING)
        if not batch.tests_run:
            boundary += install
        end = boundary + sum(self._estimates.test(job) for job in left)
        ageing = self._store.ageing_seconds
        return _Outlook(batch, boundary, end, min((score(job, ageing) for job in left), default=None))


def _was_worth_it(batch: BatchView, now: float) -> bool:
    if batch.install_seconds is None or batch.started is None:
        return False
    return now - batch.started >= 2 * batch.install_seconds
