"""The order of the line: priority with linear ageing, as one number that never changes while a TestJob waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testqueue.core.model import JobView


def score(job: JobView, ageing_seconds: float) -> float:
    """When the TestJob came into the line, moved ahead by its priority; the lowest is first.

    Waiting `ageing_seconds` weighs as much as one step of priority, so nothing starves: a priority 10 overtakes a
    priority 1 only if it was submitted at most 9 steps later.
    """
    return job.queued - job.priority * ageing_seconds
