"""How long installs and tests are likely to take, from the batches that are over, and from TestJobs that are.

The order in which they are learned makes no difference: a replica that has just listed them expects the same as
one that saw them end.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from testqueue.core.model import Key, LastRun

if TYPE_CHECKING:
    from testqueue.core.model import BatchView, JobView

#: Before anything has run: the defaults of the driver `simulate`.
DEFAULT_INSTALL_SECONDS: Final = 10.0
DEFAULT_TEST_SECONDS: Final = 5.0
#: A run that is older by so much weighs half.
HALF_LIFE_SECONDS: Final = 86_400.0
#: Recent durations of a target, and names of tests, that are remembered.
_KEPT: Final = 50
_TESTS: Final = 20_000


class Estimates:
    """Seconds to expect, by target: a test's own mean, where recent runs weigh more; else the median of all tests."""

    def __init__(self) -> None:
        self._installs: dict[Key, _Recent] = {}
        self._tests: dict[Key, _Recent] = {}
        self._by_test: OrderedDict[tuple[Key, str], _Mean] = OrderedDict()
        self._last_runs: OrderedDict[tuple[Key, str], LastRun] = OrderedDict()

    def remember(self, run: LastRun) -> None:
        """Take the last run of a TestJob that is over. Counts only where no batch has told of the test.

        TestJobs are kept for longer than TestBatches, but tell whole seconds only.
        """
        key = (run.target, run.test)
        known = self._last_runs.get(key)
        if known is None or known < run:
            self._last_runs[key] = run
            self._last_runs.move_to_end(key)
        while len(self._last_runs) > _TESTS:
            self._last_runs.popitem(last=False)

    def learn(self, batch: BatchView) -> None:
        """Take a batch that is over."""
        target = Key(batch.namespace, batch.target)
        moment = batch.finished or batch.created
        if batch.install_seconds is not None:
            self._installs.setdefault(target, _Recent()).add(moment, batch.name, [batch.install_seconds])
        ran = [test for test in batch.tests if test.outcome != "infrastructure"]
        if ran:
            recent = self._tests.setdefault(target, _Recent())
            recent.add(moment, batch.name, [test.seconds for test in ran])
        for each in ran:
            if each.test:
                key = (target, each.test)
                known = self._by_test.get(key)
                self._by_test[key] = (
                    _Mean.of(each.seconds, moment) if known is None else known.and_(each.seconds, moment)
                )
                self._by_test.move_to_end(key)
        while len(self._by_test) > _TESTS:
            self._by_test.popitem(last=False)

    def install(self, target: Key) -> float:
        """Seconds of one install."""
        seen = self._installs.get(target)
        return seen.median if seen else DEFAULT_INSTALL_SECONDS

    def test(self, job: JobView) -> float:
        """Seconds of one run of this TestJob."""
        target = Key(job.namespace, job.target)
        if (known := self._by_test.get((target, job.test))) is not None:
            return known.seconds
        if (last := self._last_runs.get((target, job.test))) is not None:
            return last.seconds
        return self.usual_test(target)

    def usual_test(self, target: Key) -> float:
        """Seconds of a test of which nothing is known."""
        seen = self._tests.get(target)
        return seen.median if seen else DEFAULT_TEST_SECONDS


class _Mean(NamedTuple):
    """A mean in which a run weighs 2^(-age / half-life), kept as of its newest run."""

    total: float
    weight: float
    newest: float

    @classmethod
    def of(cls, seconds: float, moment: float) -> _Mean:
        return cls(seconds, 1.0, moment)

    def and_(self, seconds: float, moment: float) -> _Mean:
        newest = max(self.newest, moment)
        old = 2.0 ** ((self.newest - newest) / HALF_LIFE_SECONDS)
        new = 2.0 ** ((moment - newest) / HALF_LIFE_SECONDS)
        return _Mean(self.total * old + seconds * new, self.weight * old + new, newest)

    @property
    def seconds(self) -> float:
        # To the millisecond, so that the order of the additions does not show.
        return round(self.total / self.weight, 3)


class _Recent:
    """The last durations of one kind, and their median."""

    def __init__(self) -> None:
        self._last: list[tuple[float, str, float]] = []
        self.median = 0.0

    def add(self, moment: float, batch: str, seconds: list[float]) -> None:
        """Some more; the oldest go."""
        for each in sorted(seconds):
            insort(self._last, (moment, batch, each))
        del self._last[:-_KEPT]
        self.median = median(each for *_, each in self._last)
