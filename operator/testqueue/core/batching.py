"""Which TestJobs share the next batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from testqueue.core.order import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import JobView, TargetView


def ride(line: Sequence[JobView], next_head: float | None, ageing_seconds: float) -> Sequence[JobView]:
    """The TestJobs of a group that may go now, before the next group's first one.

    One ageing step of patience: a strict order would end batching, and no bound would let one urgent TestJob
    drag its whole group past everybody else.
    """
    if next_head is None:
        return line
    limit = next_head + ageing_seconds
    return [job for index, job in enumerate(line) if index == 0 or score(job, ageing_seconds) <= limit]


def share(
    riders: Sequence[JobView], target: TargetView, free_slots: int, estimates: Estimates
) -> Sequence[JobView]:
    """What of the riders goes into one batch, where so many slots are free for them.

    Spread over as many slots as make each batch last about `targetSeconds`, its install included; never more
    than maxTests. With one slot free everything that fits rides, since a second batch would only install again.
    """
    install = estimates.install(target.key)
    seconds = sum(estimates.test(job) for job in riders)
    worthwhile = math.ceil(seconds / max(target.target_seconds - install, 1.0))
    pieces = max(1, min(free_slots, worthwhile, len(riders)))
    return riders[: min(math.ceil(len(riders) / pieces), target.max_tests)]
