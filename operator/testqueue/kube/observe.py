"""What the batches that are over tell: metrics for people, durations for the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testqueue.core.model import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import BatchView
    from testqueue.core.store import Store
    from testqueue.metrics import Metrics


class BatchObserver:
    """Told of each change of a TestBatch; looks at it once, when it ends."""

    def __init__(self, metrics: Metrics, leads: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._leads = leads
        self._store: Store | None = None
        self._estimates: Estimates | None = None

    def attach(self, store: Store, estimates: Estimates) -> None:
        """Feed these; done after they were made, for the store itself tells this observer."""
        self._store, self._estimates = store, estimates

    def changed(self, old: BatchView | None, new: BatchView | None) -> None:
        """A batch was seen first, has changed, or is gone."""
        if new is None or not new.over or (old is not None and old.over):
            return
        self._learn(new)
        # What had ended before this process looked was counted by the one before.
        if old is not None and self._leads():
            self._count(new)

    def _learn(self, batch: BatchView) -> None:
        if self._store is None or self._estimates is None:
            return
        jobs = (self._store.jobs.get(Key(batch.namespace, test.name)) for test in batch.tests)
        self._estimates.learn(batch, {job.name: job.test for job in jobs if job is not None})

    def _count(self, batch: BatchView) -> None:
        labels = {"namespace": batch.namespace, "target": batch.target}
        self._metrics.batches.labels(**labels, outcome=batch.phase.lower()).inc()
        for test in batch.tests:
            self._metrics.attempts.labels(**labels, outcome=test.outcome).inc()
            self._metrics.running_seconds.labels(**labels).observe(test.seconds)
        if batch.install_seconds is not None:
            self._metrics.install_seconds.labels(**labels).observe(batch.install_seconds)
            saved = max(len(batch.tests) - 1, 0) * batch.install_seconds
            self._metrics.install_seconds_saved.labels(**labels).inc(saved)
