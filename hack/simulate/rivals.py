"""What other ways to run the tests would make of a load."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from hack.simulate.schedule import Batch, in_a_row

if TYPE_CHECKING:
    from hack.simulate.loads import Load, Test

#: Of those that wait, in the order of their submission, which run next in one slot.
Choice = Callable[["Sequence[Test]", "Load"], "list[Test]"]


def one_job_per_test(waiting: Sequence[Test], _: Load) -> list[Test]:
    """A Kubernetes Job for each: no order but that of the submissions, and an install each."""
    return [waiting[0]]


def batches_of_five(waiting: Sequence[Test], _: Load) -> list[Test]:
    """A worker on Redis: lists by priority, of which it takes the first and up to four more of its app version."""
    first = max(waiting, key=lambda test: test.priority)
    return [test for test in waiting if (test.app, test.priority) == (first.app, first.priority)][:5]


def batches_in_order(waiting: Sequence[Test], load: Load) -> list[Test]:
    """The oldest, and all that wait of its app version: the fewest installs, no priority."""
    return [test for test in waiting if test.app == waiting[0].app][: load.max_tests]


RIVALS: Final[dict[str, Choice]] = {
    "a Job per test": one_job_per_test,
    "batches of 5": batches_of_five,
    "FIFO batches": batches_in_order,
}


def chosen(load: Load, choice: Choice) -> tuple[Batch, ...]:
    """What comes of choosing like that whenever a slot is free."""
    coming = sorted(load.tests, key=lambda test: (test.submitted, test.name))
    waiting: list[Test] = []
    ends: list[float] = []
    made: list[Batch] = []
    now = 0.0
    while coming or waiting:
        while coming and coming[0].submitted <= now:
            waiting.append(coming.pop(0))
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        while waiting and len(ends) < load.slots:
            batch = in_a_row(choice(waiting, load), load, now)
            taken = {run.test.name for run in batch.runs}
            waiting = [test for test in waiting if test.name not in taken]
            heapq.heappush(ends, batch.ended)
            made.append(batch)
        moments = [ends[0]] if ends and len(ends) == load.slots else []
        moments += [coming[0].submitted] if coming else []
        now = min(moments, default=now)
    return tuple(made)
