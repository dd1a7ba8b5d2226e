"""How long installs and tests are likely to take, from the batches that are over."""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median
from typing import TYPE_CHECKING, Final

from testqueue.core.model import Key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testqueue.core.model import BatchView, JobView

#: Before anything has run: the defaults of the driver `simulate`.
DEFAULT_INSTALL_SECONDS: Final = 10.0
DEFAULT_TEST_SECONDS: Final = 5.0
#: Recent durations of a target, and names of tests, that are remembered.
_KEPT: Final = 50
_TESTS: Final = 20_000


class Estimates:
    """Seconds to expect, by target; the median of what was seen, for a test by its own name where it was."""

    def __init__(self) -> None:
        self._installs: dict[Key, _Seen] = {}
        self._tests: dict[Key, _Seen] = {}
        self._by_test: OrderedDict[tuple[Key, str], float] = OrderedDict()

    def learn(self, batch: BatchView) -> None:
        """Take a batch that is over."""
        target = Key(batch.namespace, batch.target)
        if batch.install_seconds is not None:
            self._installs.setdefault(target, _Seen()).add([batch.install_seconds])
        passed = [test for test in batch.tests if test.outcome != "infrastructure"]
        if passed:
            self._tests.setdefault(target, _Seen()).add([test.seconds for test in passed])
        for each in passed:
            if each.test:
                self._by_test[target, each.test] = each.seconds
                self._by_test.move_to_end((target, each.test))
        while len(self._by_test) > _TESTS:
            self._by_test.popitem(last=False)

    def install(self, target: Key) -> float:
        """Seconds of one install."""
        seen = self._installs.get(target)
        return seen.median if seen else DEFAULT_INSTALL_SECONDS

    def test(self, job: JobView) -> float:
        """Seconds of one run of this TestJob."""
        target = Key(job.namespace, job.target)
        known = self._by_test.get((target, job.test))
        if known is not None:
            return known
        seen = self._tests.get(target)
        return seen.median if seen else DEFAULT_TEST_SECONDS


class _Seen:
    """The last durations of one kind, and their median."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_KEPT)
        self.median = 0.0

    def add(self, news: Iterable[float]) -> None:
        """Some more; the oldest go."""
        self._last.extend(news)
        self.median = median(self._last)
