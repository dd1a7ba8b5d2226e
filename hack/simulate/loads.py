"""What is submitted: traces, each from a seed. Times in seconds after the trace's begin."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Test:
    """One TestJob: when it is submitted, and how long its test takes, which no schedule knows before."""

    __test__: ClassVar[bool] = False

    name: str
    org: str
    app: str
    test: str
    priority: int
    submitted: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """A trace, and the target that it is for. `start_seconds`: until a slot's next batch (a pod) begins."""

    name: str
    tests: tuple[Test, ...]
    slots: int = 8
    install_seconds: float = 10.0
    start_seconds: float = 1.0
    max_tests: int = 50
    target_seconds: float = 120.0
    #: Waiting that weighs as much as one step of priority: the operator's default.
    ageing_seconds: float = 3600.0
    weights: dict[str, int] = field(default_factory=dict)

    def score(self, test: Test) -> float:
        """Its place in the operator's line: the lowest is first."""
        return test.submitted - test.priority * self.ageing_seconds


class _Writer:
    """Makes tests with random durations: each test file has its own, and varies around it from run to run."""

    def __init__(self, seed: int, median: float = 8.0) -> None:
        self._random = random.Random(seed)
        self._median = median
        self._usual: dict[str, float] = {}
        self._count = 0

    def tests(
        self,
        count: int,
        *,
        org: str = "shop",
        app: Callable[[random.Random], str] = lambda _: "v1",
        priority: Callable[[random.Random], int] = lambda _: 5,
        at: Callable[[random.Random], float] = lambda _: 0.0,
    ) -> Iterator[Test]:
        chosen = self._random
        for _ in range(count):
            self._count += 1
            file = f"tests/{org}/{chosen.randrange(200):03d}.spec.ts"
            usual = self._usual.setdefault(file, self._median * math.exp(chosen.gauss(0, 0.6)))
            seconds = usual * math.exp(chosen.gauss(0, 0.2))
            yield Test(
                name=f"t-{self._count:06d}",
                org=org,
                app=app(chosen),
                test=file,
                priority=priority(chosen),
                submitted=at(chosen),
                seconds=seconds,
            )


def few_versions(seed: int) -> Load:
    """Four versions, all at once."""
    tests = _Writer(seed).tests(1200, app=lambda chosen: f"v{chosen.randrange(4)}")
    return Load("few versions", tuple(tests))


def many_versions(seed: int) -> Load:
    """200 pull requests with six tests each, within an hour."""
    moments = [random.Random(seed).uniform(0, 3600) for _ in range(200)]
    writer = _Writer(seed)
    tests = [
        test
        for number, moment in enumerate(moments)
        for test in writer.tests(6, app=lambda _, n=number: f"pr-{n}", at=lambda _, when=moment: when)  # type: ignore[misc]
    ]
    return Load("many versions", tuple(tests))


def one_huge_group(seed: int) -> Load:
    """2,000 tests of one version, and now and then an urgent one of another."""
    writer = _Writer(seed)
    huge = writer.tests(2000, app=lambda _: "nightly", priority=lambda _: 2)
    urgent = writer.tests(
        60,
        app=lambda chosen: f"hotfix-{chosen.randrange(12)}",
        priority=lambda _: 10,
        at=lambda chosen: chosen.uniform(0, 1800),
    )
    return Load("one huge group", (*huge, *urgent))


def flood(seed: int) -> Load:
    """One org submits 60% of all, five others the rest; all of them with every priority."""
    writer = _Writer(seed)
    sizes = {"flood": 1800, **{f"org-{number}": 240 for number in range(5)}}
    tests = [
        test
        for org, size in sizes.items()
        for test in writer.tests(
            size,
            org=org,
            app=lambda chosen, org=org: f"{org}-v{chosen.randrange(3)}",  # type: ignore[misc]
            priority=lambda chosen: chosen.randint(1, 10),
            at=lambda chosen: chosen.uniform(0, 60),
        )
    ]
    return Load("flood of 60%", tuple(tests))


def common_versions(seed: int) -> Load:
    """A flood of 60% again, but all orgs test the same 20 versions, and tests are short."""
    writer = _Writer(seed, median=2.0)
    sizes = {"flood": 720, **{f"org-{number}": 60 for number in range(8)}}
    tests = [
        test
        for org, size in sizes.items()
        for test in writer.tests(
            size,
            org=org,
            app=lambda chosen: f"v{chosen.randrange(20)}",
            priority=lambda chosen: chosen.randint(1, 10),
        )
    ]
    return Load("common versions", tuple(tests), install_seconds=1.0)


def bursts(seed: int) -> Load:
    """Every ten minutes four orgs at once, with some tests of each priority."""
    writer = _Writer(seed)
    tests = [
        test
        for burst in range(6)
        for org in ("app", "web", "pay", "map")
        for test in writer.tests(
            60,
            org=org,
            app=lambda chosen, org=org, burst=burst: f"{org}-{burst}.{chosen.randrange(3)}",  # type: ignore[misc]
            priority=lambda chosen: chosen.choice((1, 5, 5, 5, 9)),
            at=lambda _, burst=burst: 600.0 * burst,  # type: ignore[misc]
        )
    ]
    return Load("bursts", tuple(tests))


def weights(seed: int) -> Load:
    """Three orgs of weights 1, 2 and 5 that always have work."""
    writer = _Writer(seed)
    shares = {"one": 1, "two": 2, "five": 5}
    tests = [
        test
        for org in shares
        for test in writer.tests(1500, org=org, app=lambda chosen, org=org: f"{org}-v{chosen.randrange(4)}")  # type: ignore[misc]
    ]
    return Load("weights 1, 2, 5", tuple(tests), weights=shares)


LOADS: Final[tuple[Callable[[int], Load], ...]] = (
    few_versions,
    many_versions,
    one_huge_group,
    flood,
    common_versions,
    bursts,
    weights,
)
