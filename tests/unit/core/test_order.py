"""Who goes first: priority with ageing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testqueue.core.order import score

from .objects import AGEING, at, job


def test_a_higher_priority_goes_first() -> None:
    assert score(job(priority=10), AGEING) < score(job(priority=9), AGEING)


def test_the_older_of_equals_goes_first() -> None:
    assert score(job(created=0), AGEING) < score(job(created=1), AGEING)


def test_a_priority_1_is_overtaken_for_nine_steps_and_no_longer() -> None:
    low = job(priority=1, created=0)

    assert score(job(priority=10, created=9 * AGEING - 1), AGEING) < score(low, AGEING)
    assert score(job(priority=10, created=9 * AGEING + 1), AGEING) > score(low, AGEING)


def test_a_retry_keeps_its_place() -> None:
    assert score(job(phase="Retrying", nextAttemptTime=at(60)), AGEING) == score(job(), AGEING)


def test_a_replay_goes_to_the_end_of_its_priority() -> None:
    assert score(job(queueTime=at(100)), AGEING) == score(job(created=100), AGEING)


@given(
    st.tuples(st.integers(0, 10**6), st.integers(1, 10)), st.tuples(st.integers(0, 10**6), st.integers(1, 10))
)
def test_whoever_waits_an_ageing_step_longer_gains_one_step_of_priority(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    (age, priority), (other_age, other_priority) = first, second
    mine = score(job(created=-age, priority=priority), AGEING)
    other = score(job(created=-other_age, priority=other_priority), AGEING)

    assert (mine < other) == (age / AGEING + priority > other_age / AGEING + other_priority)
