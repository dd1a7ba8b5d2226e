"""Which TestJobs come into the next batches."""

from __future__ import annotations

import pytest

from .objects import AGEING, at, batch, job, target
from .planning import Scene


def test_testjobs_of_one_app_version_and_target_share_a_batch() -> None:
    scene = Scene(target(), job("a"), job("b"))

    assert scene.batches() == [["a", "b"]]


def test_another_app_version_needs_another_batch() -> None:
    scene = Scene(target(parallelism=5), job("a", app="shop-1"), job("b", app="shop-2"))

    assert scene.batches() == [["a"], ["b"]]


def test_another_target_too() -> None:
    scene = Scene(target("phones"), target("tablets"), job("a"), job("b", target="tablets"))

    assert sorted(scene.batches()) == [["a"], ["b"]]


def test_a_batch_says_what_it_was_made_for() -> None:
    scene = Scene(target(), job("a", app="shop-7", priority=3), job("b", app="shop-7", priority=8))

    (created,) = scene.created()

    assert (created.name, created.app_version_id, created.priority) == ("tb-new-1", "shop-7", 8)


def test_the_most_urgent_runs_first() -> None:
    scene = Scene(target(), job("a", priority=1), job("b", priority=10), job("c", priority=5))

    assert scene.batches() == [["b", "c", "a"]]


def test_the_group_of_the_most_urgent_goes_first() -> None:
    scene = Scene(target(parallelism=1), job("a", app="shop-1"), job("b", app="shop-2", priority=6))

    assert scene.batches() == [["b"]]


def test_a_urgent_one_does_not_drag_its_whole_group_past_the_others() -> None:
    scene = Scene(
        target(parallelism=1),
        job("urgent", app="shop-1", priority=10),
        job("close", app="shop-1", priority=8),
        job("far", app="shop-1", priority=7),
        job("other", app="shop-2", priority=9),
    )

    assert scene.batches() == [["urgent", "close"]]


def test_groups_are_ranked_again_after_each_batch() -> None:
    scene = Scene(
        target(parallelism=3),
        job("urgent", app="shop-1", priority=10),
        job("far", app="shop-1", priority=1),
        job("other", app="shop-2", priority=9),
    )

    assert scene.batches() == [["urgent"], ["other"], ["far"]]


def test_waiting_long_enough_beats_priority() -> None:
    scene = Scene(
        target(parallelism=1),
        job("old", app="shop-1", priority=1, created=-10 * AGEING),
        job("new", app="shop-2", priority=10),
    )

    assert scene.batches() == [["old"]]


def test_no_more_batches_than_slots() -> None:
    scene = Scene(target(parallelism=2), *(job(f"j{app}", app=f"shop-{app}") for app in range(5)))

    assert len(scene.batches()) == 2


def test_a_batch_that_runs_has_its_slot() -> None:
    scene = Scene(target(parallelism=1), batch(phase="Running", pod="p"), job("a"))

    assert scene.batches() == []


def test_a_batch_that_is_over_has_none() -> None:
    scene = Scene(target(parallelism=1), batch(phase="Completed", pod="p"), job("a"))

    assert scene.batches() == [["a"]]


def test_parallelism_0_pauses_the_target() -> None:
    assert Scene(target(parallelism=0), job("a")).batches() == []


def test_without_parallelism_or_devices_there_is_one_slot() -> None:
    scene = Scene(target(), job("a", app="shop-1"), job("b", app="shop-2"))

    assert len(scene.batches()) == 1


def test_batches_are_made_although_the_counts_to_report_did_not_change() -> None:
    """One ended, another begins: the status would read the same as before."""
    counts = {"slots": 1, "running": 1, "waiting": 0}
    scene = Scene(target(parallelism=1, status=counts), batch(phase="Completed", pod="p"), job("a"))

    assert scene.batches() == [["a"]]


def test_a_big_group_is_cut_at_max_tests() -> None:
    scene = Scene(target(parallelism=2, batch={"maxTests": 2}), *(job(name) for name in "abc"))

    assert scene.batches() == [["a", "b"], ["c"]]


def test_what_waits_for_its_retry_is_left_alone_until_its_time() -> None:
    scene = Scene(target(), job("a", phase="Retrying", nextAttemptTime=at(60)))

    assert scene.batches(now=59) == []
    assert scene.batches(now=60) == [["a"]]


def test_a_pass_is_wanted_when_the_next_retry_is_due() -> None:
    scene = Scene(target(), job("a", phase="Retrying", nextAttemptTime=at(12)))

    assert scene.plan(now=10).look_again == pytest.approx(scene.store.next_due)


@pytest.mark.parametrize("phase", ["Scheduled", "Running", "DeadLettered"])
def test_what_does_not_wait_is_left_alone(phase: str) -> None:
    assert Scene(target(), job("a", phase=phase, batch="tb-1")).batches() == []


def test_what_a_batch_in_the_making_names_is_not_put_into_another() -> None:
    named = job("a")
    scene = Scene(target(parallelism=5), named, job("b"), batch("tb-1", (named,)))

    assert scene.batches() == [["b"]]


def test_what_its_batch_did_not_get_before_its_runner_came_goes_elsewhere() -> None:
    named = job("a")
    scene = Scene(target(parallelism=5), named, batch("tb-1", (named,), phase="Installing", pod="p"))

    assert scene.batches() == [["a"]]


def test_an_entry_for_an_earlier_attempt_holds_nobody() -> None:
    scene = Scene(target(parallelism=5), batch("tb-1", (job("a"),)), job("a", attempt=3))

    assert scene.batches() == [["a"]]


def test_what_a_deleted_batch_named_is_free_again() -> None:
    named = job("a")
    scene = Scene(target(parallelism=5), named, batch("tb-1", (named,), version=10**6))

    scene.store.batches.remove(batch("tb-1", (named,), version=10**6 + 1))

    assert scene.batches() == [["a"]]


def test_a_priority_that_was_raised_counts() -> None:
    scene = Scene(target(parallelism=1), job("a", app="shop-1"), job("b", app="shop-2"))
    scene.plan()

    scene.know(job("b", app="shop-2", priority=9))

    assert scene.batches() == [["b"]]


def test_what_came_into_view_later_is_planned_with_the_rest() -> None:
    scene = Scene(target(), job("b"))
    scene.plan()

    scene.know(job("a"))

    assert scene.batches() == [["a", "b"]]
