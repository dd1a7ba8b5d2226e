"""How much of a line goes into one batch."""

from __future__ import annotations

import math
from typing import Any

import pytest

from testqueue.core.batching import last_rider, least_seconds, share, turn_seconds

from .objects import AGEING, target

RIDERS = [5.0] * 12


def sizes(
    seconds: list[float], *, install: float = 10, free: int, longest: float = math.inf, **batching: Any
) -> list[int]:
    """The sizes of the batches that the free slots would get one after another."""
    left, found = list(seconds), []
    while left and free:
        count = share(left, target(parallelism=9, batch=batching), install, free, longest)
        left, free = left[count:], free - 1
        found.append(count)
    return found


def test_with_one_slot_everything_rides() -> None:
    assert sizes(RIDERS, free=1, targetSeconds=20) == [12]


def test_what_fits_into_the_target_time_shares_one_install() -> None:
    # 12 tests of 5 s and an install of 10 s
    assert sizes(RIDERS, free=4, targetSeconds=70) == [12]


def test_what_does_not_fit_is_spread_over_free_slots() -> None:
    assert sizes(RIDERS, free=4, targetSeconds=30) == [4, 4, 4]


def test_no_more_batches_than_slots() -> None:
    assert sizes(RIDERS, free=2, targetSeconds=15) == [6, 6]


def test_never_more_than_max_tests() -> None:
    assert sizes(RIDERS, free=3, targetSeconds=600, maxTests=5) == [5, 5, 2]


def test_batches_are_balanced_by_seconds_not_by_number() -> None:
    assert sizes([60.0] * 2 + [12.0] * 10, free=2, targetSeconds=130) == [2, 10]


def test_an_install_longer_than_the_target_time_is_no_reason_to_stop() -> None:
    assert sum(sizes(RIDERS, install=1000, free=3, targetSeconds=60)) == 12


def test_the_first_one_rides_however_long_it_takes() -> None:
    assert sizes([5000.0], free=3, targetSeconds=60) == [1]


def test_nobody_makes_no_batch() -> None:
    assert share([], target(), 10, 3, math.inf) == 0


def test_no_batch_is_longer_than_it_may_be_but_for_half_a_test() -> None:
    assert sizes(RIDERS, free=1, longest=17) == [3]
    assert sizes(RIDERS, free=1, longest=18) == [4]


@pytest.mark.parametrize(
    ("waiting", "slots", "seconds"), [(8000, 8, 1000), (800, 8, 100), (80, 8, 55), (800, 1, 800)]
)
def test_a_batch_is_its_slots_part_of_what_waits_but_worth_its_install(
    waiting: float, slots: int, seconds: float
) -> None:
    assert turn_seconds(target(batch={"targetSeconds": 120}), 10, waiting, slots) == seconds


def test_tests_take_at_least_as_long_as_their_install() -> None:
    assert least_seconds(target(batch={"targetSeconds": 60}), 50) == 50


def test_alone_a_group_may_ride_as_a_whole() -> None:
    assert last_rider(None, AGEING) == math.inf


def test_others_are_overtaken_by_one_step_at_most() -> None:
    assert last_rider(1000.0, AGEING) == 1000.0 + AGEING
