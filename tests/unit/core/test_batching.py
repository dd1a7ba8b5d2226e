"""How much of a line goes into one batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from testqueue.core.batching import last_rider, share
from testqueue.core.estimates import Estimates

from .objects import AGEING, batch, job, target

if TYPE_CHECKING:
    from testqueue.core.model import JobView

RIDERS = [job(f"job-{number:02d}") for number in range(12)]


def knowing(seconds: dict[str, float], install: float = 10) -> Estimates:
    """Estimates of installs and of single tests, by the TestJob's name."""
    estimates = Estimates()
    tests = [
        {"name": name, "test": f"{name}.spec.ts", "outcome": "passed", "seconds": each}
        for name, each in seconds.items()
    ]
    estimates.learn(batch(phase="Completed", installSeconds=install, tests=tests))
    return estimates


def sizes(riders: list[JobView], estimates: Estimates, free: int, **batching: Any) -> list[int]:
    """The sizes of the batches that the free slots would get one after another."""
    left, found = list(riders), []
    while left and free:
        taken = share(left, target(parallelism=9, batch=batching), free, estimates)
        left, free = left[len(taken) :], free - 1
        found.append(len(taken))
    return found


def test_with_one_slot_everything_rides() -> None:
    assert sizes(RIDERS, knowing({}), free=1, targetSeconds=20) == [12]


def test_what_fits_into_the_target_time_shares_one_install() -> None:
    # 12 tests of 5 s and an install of 10 s
    assert sizes(RIDERS, knowing({}), free=4, targetSeconds=70) == [12]


def test_what_does_not_fit_is_spread_over_free_slots() -> None:
    assert sizes(RIDERS, knowing({}), free=4, targetSeconds=30) == [4, 4, 4]


def test_no_more_batches_than_slots() -> None:
    assert sizes(RIDERS, knowing({}), free=2, targetSeconds=15) == [6, 6]


def test_never_more_than_max_tests() -> None:
    assert sizes(RIDERS, knowing({}), free=3, targetSeconds=600, maxTests=5) == [5, 5, 2]


def test_batches_are_balanced_by_seconds_not_by_number() -> None:
    seconds = {each.name: 60.0 if index < 2 else 12.0 for index, each in enumerate(RIDERS)}

    assert sizes(RIDERS, knowing(seconds), free=2, targetSeconds=130) == [2, 10]


def test_an_install_longer_than_the_target_time_is_no_reason_to_stop() -> None:
    assert sum(sizes(RIDERS, knowing({}, install=1000), free=3, targetSeconds=60)) == 12


def test_the_first_one_rides_however_long_it_takes() -> None:
    assert sizes([RIDERS[0]], knowing({RIDERS[0].name: 5000.0}), free=3, targetSeconds=60) == [1]


def test_nobody_makes_no_batch() -> None:
    assert list(share([], target(), 3, Estimates())) == []


def test_alone_a_group_may_ride_as_a_whole() -> None:
    assert last_rider(None, AGEING) == math.inf


def test_others_are_overtaken_by_one_step_at_most() -> None:
    assert last_rider(1000.0, AGEING) == 1000.0 + AGEING
