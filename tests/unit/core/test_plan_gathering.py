"""A group that has just come is left to grow before its first batch."""

from __future__ import annotations

from testqueue.core.plan import Planner

from .objects import NOW, job, target
from .planning import Scene


class Patient(Scene):
    """A scene whose planner waits until nobody has joined a group for a second."""

    def __init__(self, *views: object) -> None:
        super().__init__(*views)
        self.planner = Planner(self.store, lambda: "tb-new", gather_seconds=1.0)


def test_those_that_are_submitted_one_after_another_share_a_batch() -> None:
    scene = Patient(target(), job("a"))
    first = scene.plan(0.2)
    scene.know(job("b"))

    assert first.actions == ()
    assert first.look_again <= NOW + 1.2
    assert scene.batches(0.9) == []
    assert scene.batches(1.8) == []
    assert scene.batches(1.9) == [["a", "b"]]


def test_nobody_waits_for_long_for_those_that_may_still_come() -> None:
    scene = Patient(target(), job("a"))
    for tenth in range(1, 21):
        scene.know(job(f"more-{tenth}"))
        assert scene.batches(tenth / 10) == []

    assert len(scene.batches(2.1)[0]) == 21


def test_what_waited_while_no_device_was_free_is_not_kept_waiting() -> None:
    scene = Patient(target(parallelism=0), job("a"))
    assert scene.batches(60) == []

    scene.know(target(parallelism=1))

    assert scene.batches(61) == [["a"]]


def test_the_place_of_a_group_that_gathers_is_kept_for_it() -> None:
    scene = Patient(target(parallelism=1), job("a", app="shop-1", priority=1, created=-60))
    scene.know(job("urgent", app="shop-2", priority=9))

    assert scene.batches(0.1) == []
    assert scene.batches(1.2) == [["urgent"]]


def test_other_places_are_not() -> None:
    scene = Patient(target(parallelism=2), job("a", app="shop-1", priority=1, created=-60))
    scene.know(job("urgent", app="shop-2", priority=9))

    assert scene.batches(0.1) == [["a"]]
