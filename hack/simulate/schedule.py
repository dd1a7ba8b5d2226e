"""What a schedule made of a load, and how good that was. Times in seconds."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hack.simulate.loads import Load, Test

BANDS: Final = {"p8-10": range(8, 11), "p4-7": range(4, 8), "p1-3": range(1, 4)}


@dataclass(frozen=True, slots=True)
class Batch:
    """What ran in one slot with one install: from `made` to `installed` there was no test."""

    org: str
    app: str
    made: float
    installed: float
    runs: tuple[Run, ...]
    #: What it had, and went back into the line when it yielded.
    given_back: tuple[Test, ...] = ()

    @property
    def ended(self) -> float:
        """When its slot was free again."""
        return self.runs[-1].finished


@dataclass(frozen=True, slots=True)
class Run:
    """One test's."""

    test: Test
    started: float
    finished: float


def in_a_row(tests: Sequence[Test], load: Load, made: float) -> Batch:
    """A batch of these, begun at that moment."""
    moment = installed = made + load.start_seconds + load.install_seconds
    runs = []
    for test in tests:
        runs.append(Run(test, moment, moment + test.seconds))
        moment += test.seconds
    return Batch(tests[0].org, tests[0].app, made, installed, tuple(runs))


def bound(load: Load) -> float:
    """No schedule is done before: all work that comes after some moment, and an install of each of its versions."""
    best = 0.0
    ordered = sorted(load.tests, key=lambda test: -test.submitted)
    work, apps = 0.0, set[str]()
    for test in ordered:
        work += test.seconds
        apps.add(test.app)
        once = load.start_seconds + load.install_seconds
        best = max(best, test.submitted + (work + len(apps) * once) / load.slots)
        best = max(best, test.submitted + once + test.seconds)
    return best


def device_seconds(batches: Iterable[Batch], since: float, until: float) -> Counter[str]:
    """By org, within a time: each pays for its tests, and who opened a batch for the install."""
    had: Counter[str] = Counter()
    for batch in batches:
        had[batch.org] += _within(batch.made, batch.installed, since, until)
        for run in batch.runs:
            had[run.test.org] += _within(run.started, run.finished, since, until)
    return had


def saturated(load: Load, batches: Iterable[Batch]) -> tuple[float, float]:
    """The time in which every org has TestJobs that wait: from the last one's first, to when one's last is taken."""
    first: dict[str, float] = {}
    for test in load.tests:
        first[test.org] = min(first.get(test.org, test.submitted), test.submitted)
    last: defaultdict[str, float] = defaultdict(float)
    for batch in batches:
        for run in batch.runs:
            last[run.test.org] = max(last[run.test.org], batch.made)
    return max(first.values()), min(last.values())


def jain(shares: Iterable[float]) -> float:
    """Jain's index: 1 where all are alike, 1/n where one has all."""
    values = list(shares)
    squares = len(values) * sum(value * value for value in values)
    return sum(values) ** 2 / squares if squares else 1.0


def overtaken(load: Load, batches: Sequence[Batch], steps: float) -> int:
    """How often a TestJob waited while one of its org, less urgent by more than so many steps, was put into a batch."""
    taken: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    away: defaultdict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        for run in batch.runs:
            taken[run.test.org].append((load.score(run.test), batch.made))
        for test in batch.given_back:
            away[test.name].append(batch)
    found = 0
    for batch in batches:
        for test in (run.test for run in batch.runs):
            bound = load.score(test) + steps * load.ageing_seconds
            found += any(
                score > bound
                and test.submitted < made < batch.made
                and not any(other.made <= made < other.ended for other in away[test.name])
                for score, made in taken[test.org]
            )
    return found


def figures(load: Load, batches: Sequence[Batch]) -> dict[str, Any]:
    """What the table shows."""
    runs = [run for batch in batches for run in batch.runs]
    since, until = saturated(load, batches)
    had = device_seconds(batches, since, until)
    orgs = {test.org for test in load.tests}
    fair = {org: had[org] / load.weights.get(org, 1) for org in orgs}
    end = max(batch.ended for batch in batches)
    return {
        "makespan": round(end, 1),
        "over bound": round(end / bound(load), 3),
        "installs": len(batches),
        "waits": _waits(runs),
        "jain": round(jain(fair.values()), 3) if len(orgs) > 1 and until > since else None,
        "overtaken": overtaken(load, batches, steps=1.0),
    }


def _waits(runs: Sequence[Run]) -> Mapping[str, Any]:
    found = {}
    for band, priorities in BANDS.items():
        waits = [run.started - run.test.submitted for run in runs if run.test.priority in priorities]
        if len(waits) > 1:
            found[band] = {"median": round(median(waits), 1), "p95": round(quantiles(waits, n=20)[-1], 1)}
    return found


def _within(begin: float, end: float, since: float, until: float) -> float:
    return max(min(end, until) - max(begin, since), 0.0)
