"""The store's indexes, as the planner and the metrics read them."""

from __future__ import annotations

from testqueue.core.model import BatchView, Key, Lane
from testqueue.core.store import Store

from .objects import AGEING, NAMESPACE, NOW, at, batch, job, pod

LANE = Lane(NAMESPACE, "shop-1", "phones", "org")
TB_1 = Key(NAMESPACE, "tb-1")


def names(store: Store, **window: float | int) -> list[str]:
    return [view.name for view in store.line(LANE, **window)]  # type: ignore[arg-type]


def filled(*priorities: int) -> Store:
    """TestJobs named by their priorities, all due."""
    store = Store(AGEING)
    for priority in priorities:
        store.jobs.apply(job(f"p{priority:02d}", priority=priority))
    store.advance(NOW)
    return store


def test_a_line_is_in_order() -> None:
    assert names(filled(3, 10, 7)) == ["p10", "p07", "p03"]


def test_a_part_of_a_line_can_be_read() -> None:
    assert names(filled(1, 2, 3, 4), start=1, most=2) == ["p03", "p02"]


def test_a_line_is_read_up_to_a_score() -> None:
    assert names(filled(1, 2, 3, 4), up_to=NOW - 3 * AGEING) == ["p04", "p03"]


def test_the_first_one_is_read_whatever_its_score() -> None:
    assert names(filled(1, 2), up_to=NOW - 100 * AGEING) == ["p02"]


def test_a_hundred_newcomers_come_into_order_too() -> None:
    store = filled(*range(1, 11))
    for number in range(100):
        store.jobs.apply(job(f"later-{number:03d}", created=100 - number))
    store.advance(NOW)

    scores = [view.queued - view.priority * AGEING for view in store.line(LANE)]
    assert scores == sorted(scores)
    assert len(scores) == 110


def test_whoever_is_claimed_leaves_the_line() -> None:
    store = filled(1, 2)

    store.jobs.apply(job("p02", priority=2, phase="Scheduled", batch="tb-1"))

    assert names(store) == ["p01"]
    assert [view.name for view in store.claimed(TB_1)] == ["p02"]


def test_whoever_is_given_back_returns() -> None:
    store = filled(1)
    store.jobs.apply(job("p01", priority=1, phase="Scheduled", batch="tb-1"))

    store.jobs.apply(job("p01", priority=1, attempt=1))
    store.advance(NOW)

    assert names(store) == ["p01"]
    assert store.claiming_batches() == []


def test_whoever_is_deleted_leaves_no_trace() -> None:
    store = filled(1)

    store.jobs.remove(job("p01"))

    assert (store.heads(Key(NAMESPACE, "phones")), store.waiting(), names(store)) == ({}, {}, [])


def test_a_retry_is_due_at_its_newest_time() -> None:
    store = Store(AGEING)
    store.jobs.apply(job("a", phase="Retrying", nextAttemptTime=at(10)))
    store.jobs.apply(job("a", phase="Retrying", nextAttemptTime=at(50)))

    store.advance(NOW + 10)
    assert names(store) == []
    store.advance(NOW + 50)
    assert names(store) == ["a"]


def test_a_change_that_is_seen_twice_does_not_double_anybody() -> None:
    store = filled(1)
    store.jobs.apply(job("p01", priority=1, message="x"))
    store.jobs.apply(job("p01", priority=1, message="y"))

    store.advance(NOW)

    assert names(store) == ["p01"]


def test_batches_are_told_apart_by_their_end() -> None:
    store = Store(AGEING)
    store.batches.apply(batch("tb-1", phase="Running"))
    store.batches.apply(batch("tb-2", phase="Completed", finishTime=at(1)))

    assert [view.name for view in store.live_batches(Key(NAMESPACE, "phones"))] == ["tb-1"]
    assert [view.name for view in store.all_live_batches()] == ["tb-1"]
    assert (last := store.last_ended_batch(LANE.group)) is not None
    assert last.name == "tb-2"


def test_the_last_ended_batch_is_the_one_that_ended_last() -> None:
    store = Store(AGEING)
    store.batches.apply(batch("tb-2", phase="Completed", finishTime=at(9)))
    store.batches.apply(batch("tb-1", phase="Completed", finishTime=at(1)))
    assert store.last_ended_batch(LANE.group) == store.batches.get(Key(NAMESPACE, "tb-2"))

    store.batches.remove(batch("tb-2"))

    assert store.last_ended_batch(LANE.group) == store.batches.get(TB_1)


def test_the_last_batch_of_a_target_is_found_across_app_versions_and_not_across_targets() -> None:
    store = Store(AGEING)
    store.batches.apply(batch("tb-1", app="shop-1", phase="Completed", finishTime=at(1)))
    store.batches.apply(batch("tb-2", app="shop-2", phase="Failed", finishTime=at(9)))
    store.batches.apply(batch("tb-3", target="tablets", phase="Completed", finishTime=at(20)))

    assert store.last_ended_at(Key(NAMESPACE, "phones")) == store.batches.get(Key(NAMESPACE, "tb-2"))
    assert store.last_ended_at(Key(NAMESPACE, "elsewhere")) is None


def test_pods_are_found_by_their_batch() -> None:
    store = Store(AGEING)
    store.pods.apply(pod("tb-1-abcde", of="tb-1"))
    store.pods.apply(pod("tb-2-fghij", of="tb-2"))

    assert [view.name for view in store.pods_of(TB_1)] == ["tb-1-abcde"]


def test_who_asked_hears_of_each_change_of_a_batch() -> None:
    heard: list[tuple[str, str]] = []

    def listen(old: BatchView | None, new: BatchView | None) -> None:
        heard.append((old.phase if old else "-", new.phase if new else "-"))

    store = Store(AGEING, listen)
    store.batches.apply(batch())
    store.batches.apply(batch(phase="Running"))
    store.batches.remove(batch())

    assert heard == [("-", "Pending"), ("Pending", "Running"), ("Running", "-")]
