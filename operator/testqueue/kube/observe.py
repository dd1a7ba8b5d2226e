"""What the batches that are over tell: metrics for people, durations for the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import BatchView
    from testqueue.metrics import Metrics


class BatchObserver:
    """Told of each change of a TestBatch; looks at it once, when it ends."""

    def __init__(self, metrics: Metrics, leads: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._leads = leads
        self._estimates: Estimates | None = None

    def attach(self, estimates: Estimates) -> None:
        """Feed these, too; done after they were made, for their planner's store itself tells this observer."""
        self._estimates = estimates

    def changed(self, old: BatchView | None, new: BatchView | None) -> None:
        """A batch was seen first, has changed, or is gone."""
        if new is None or not new.over or (old is not None and old.over):
            return
        if self._estimates is not None:
            self._estimates.learn(new)
        # What had ended before this process looked was counted by the one before.
        if old is not None and self._leads():
            self._count(new)

    def _count(self, batch: BatchView) -> None:
        labels = {"namespace": batch.namespace, "target": batch.target}
        self._metrics.batches.labels(**labels, outcome=batch.phase.lower()).inc()
        for outcome in ("passed", "failed", "infrastructure"):
            # By the counts: what was charged without having run has no entry among the tests.
            self._metrics.attempts.labels(**labels, outcome=outcome).inc(getattr(batch, outcome))
        for test in batch.tests:
            self._metrics.running_seconds.labels(**labels).observe(test.seconds)
        if batch.install_seconds is not None:
            self._metrics.install_seconds.labels(**labels).observe(batch.install_seconds)
            saved = max(len(batch.tests) - 1, 0) * batch.install_seconds
            self._metrics.install_seconds_saved.labels(**labels).inc(saved)
