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


def share(
    seconds: Sequence[float], target: TargetView, install_seconds: float, free_slots: int, *, contended: bool
) -> int:
    """How many of the riders, whose tests take so long, go into one batch, where so many slots are free for them.

    Spread over as many slots as make each batch last about `targetSeconds`, its install included; never more
    than maxTests. With one slot free everything that fits rides, since a second batch would only install again;
    but where other orgs wait (`contended`), no turn lasts much longer than `targetSeconds`, or than two installs.
    """
    if not seconds:
        return 0
    total = sum(seconds)
    worthwhile = math.ceil(total / max(target.target_seconds - install_seconds, 1.0))
    pieces = max(1, min(free_slots, worthwhile))
    # The most urgent piece; the others are cut from what is left once the turns have been ranked again.
    enough = total / pieces
    if contended:
        enough = min(enough, max(target.target_seconds - install_seconds, install_seconds))
    count = 1
    filled = seconds[0]
    while count < min(len(seconds), target.max_tests) and filled + seconds[count] / 2 <= enough:
        filled += seconds[count]
        count += 1
    return count
