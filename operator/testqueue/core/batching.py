"""Which TestJobs share the next batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testqueue.core.model import TargetView


def last_rider(next_head: float | None, ageing_seconds: float) -> float:
    """The highest score that may ride in a lane's batch, where the org's next lane's first TestJob has `next_head`.

    One ageing step of patience: a strict order would end batching, and no bound would let one urgent TestJob
    drag its whole group past everybody else.
    """
    return math.inf if next_head is None else next_head + ageing_seconds


def turn_seconds(target: TargetView, install_seconds: float, waiting_seconds: float, slots: int) -> float:
    """How long the tests of a batch may take where `waiting_seconds` of tests wait for so many slots, busy or free.

    Its slot's part of them: towards the end of the work batches get shorter, so that all slots end at about the same
    time (guided self-scheduling, Polychronopoulos and Kuck, 1987). But each costs an install, so half of what a batch
    should take is the least.
    """
    return max(waiting_seconds / max(slots, 1), least_seconds(target, install_seconds) / 2, install_seconds)


def least_seconds(target: TargetView, install_seconds: float) -> float:
    """How long the tests of a batch should take at least, where so many wait: to less, nobody cuts it."""
    return max(target.target_seconds - install_seconds, install_seconds)


def share(
    seconds: Sequence[float], target: TargetView, install_seconds: float, free_slots: int, longest: float
) -> int:
    """How many of the riders, whose tests take so long, go into one batch, where so many slots are free for them.

    Spread over as many slots as make each batch last about `targetSeconds`, its install included; never more
    than maxTests, and no longer than `longest` but for one test.
    """
    if not seconds:
        return 0
    total = sum(seconds)
    worthwhile = math.ceil(total / max(target.target_seconds - install_seconds, 1.0))
    pieces = max(1, min(free_slots, worthwhile))
    # The most urgent piece; the others are cut from what is left once the turns have been ranked again.
    enough = min(total / pieces, longest)
    count = 1
    filled = seconds[0]
    while count < min(len(seconds), target.max_tests) and filled + seconds[count] / 2 <= enough:
        filled += seconds[count]
        count += 1
    return count
