"""Which TestJobs share the next batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import JobView, TargetView


def last_rider(next_head: float | None, ageing_seconds: float) -> float:
    """The highest score that may ride in a group's batch, where the next group's first TestJob has `next_head`.

    One ageing step of patience: a strict order would end batching, and no bound would let one urgent TestJob
    drag its whole group past everybody else.
    """
    return math.inf if next_head is None else next_head + ageing_seconds


def share(
    riders: Sequence[JobView], target: TargetView, free_slots: int, estimates: Estimates
) -> Sequence[JobView]:
    """What of the riders goes into one batch, where so many slots are free for them.

    Spread over as many slots as make each batch last about `targetSeconds`, its install included; never more
    than maxTests. With one slot free everything that fits rides, since a second batch would only install again.
    """
    if not riders:
        return riders
    seconds = [estimates.test(job) for job in riders]
    worthwhile = math.ceil(sum(seconds) / max(target.target_seconds - estimates.install(target.key), 1.0))
    pieces = max(1, min(free_slots, worthwhile))
    # The most urgent piece; the others are cut from what is left once the groups have been ranked again.
    enough = sum(seconds) / pieces
    count = 1
    filled = seconds[0]
    while count < min(len(riders), target.max_tests) and filled + seconds[count] / 2 <= enough:
        filled += seconds[count]
        count += 1
    return riders[:count]
