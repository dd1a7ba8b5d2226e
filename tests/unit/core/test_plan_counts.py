"""What a target's status tells, without a write for each TestJob."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testqueue.core.plan import REPORT_SECONDS

from .objects import NOW, at, batch, job, target
from .planning import Scene

if TYPE_CHECKING:
    from testqueue.core.model import TargetCounts


def counts(scene: Scene, now: float = 10) -> TargetCounts | None:
    updates = scene.updates(now)
    return updates[0].counts if updates else None


def test_slots_running_and_waiting_are_counted() -> None:
    later = {"phase": "Retrying", "nextAttemptTime": at(1000)}
    scene = Scene(target(parallelism=1), batch(phase="Running", pod="p"), job("a"), job("b", **later))

    assert counts(scene) == (1, 1, 2)


def test_what_goes_into_a_new_batch_waits_no_more() -> None:
    assert counts(Scene(target(parallelism=1), job("a"))) == (1, 1, 0)


def test_counts_that_read_the_same_are_not_written() -> None:
    scene = Scene(target(parallelism=0, status={"waiting": 1}), job("a"))

    assert counts(scene) is None


def test_counts_alone_are_written_now_and_then() -> None:
    scene = Scene(target(parallelism=0), job("a"))
    assert counts(scene, now=10) == (0, 0, 1)

    scene.know(target(parallelism=0, status={"waiting": 1}), job("b"))

    assert counts(scene, now=10 + REPORT_SECONDS - 1) is None
    assert counts(scene, now=10 + REPORT_SECONDS) == (0, 0, 2)


def test_a_pass_is_wanted_when_they_may_be_written_again() -> None:
    scene = Scene(target(parallelism=0), job("a"))
    scene.plan(now=10)
    scene.know(target(parallelism=0, status={"waiting": 1}), job("b"))

    assert scene.plan(now=14).look_again == NOW + 10 + REPORT_SECONDS


def test_the_queue_is_counted_by_priority() -> None:
    scene = Scene(job("a", priority=1), job("b", priority=1), job("c", priority=9), job("d", phase="Running"))

    assert scene.store.waiting() == {("team", "phones", 1): 2, ("team", "phones", 9): 1}
