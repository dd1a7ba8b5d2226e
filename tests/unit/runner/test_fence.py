"""The fence's judgement, look by look; no thread is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.client import ApiError, Unreachable
from testrunner.fence import Fence, Trip
from testrunner.standing import Ownership
from tests.unit.runner.clocks import HandClock

if TYPE_CHECKING:
    from collections.abc import Sequence

UNREACHABLE = Unreachable("refused")


class Scene:
    """A fence of 60 s whose readings are written down beforehand."""

    def __init__(self, answers: Sequence[Ownership | Exception], reading_takes: float = 0.0) -> None:
        self.hand = HandClock()
        self.trips: list[Trip] = []
        self._answers = iter(answers)
        self._reading_takes = reading_takes
        self.fence = Fence(self._read, 60.0, self.hand.clock, self.trips.append)

    def _read(self, _: float) -> Ownership:
        self.hand.advance(self._reading_takes)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_good_look_comes_every_third_of_the_time() -> None:
    assert Scene([Ownership.MINE]).fence.look() == 20.0


def test_without_a_good_look_for_the_whole_time_it_trips() -> None:
    scene = Scene([UNREACHABLE] * 100)
    scene.hand.advance(59.9)
    scene.fence.look()
    assert scene.fence.check_deadline() == pytest.approx(0.1)

    scene.hand.advance(0.1)
    scene.fence.check_deadline()

    assert [trip.lost_contact for trip in scene.trips] == [True]


def test_a_good_look_counts_from_when_it_was_asked_for() -> None:
    scene = Scene([Ownership.MINE], reading_takes=15.0)
    scene.fence.look()

    assert scene.fence.check_deadline() == 45.0


def test_a_hanging_look_does_not_hold_the_deadline_up() -> None:
    scene = Scene([])
    scene.hand.advance(61.0)  # the reading thread is still in its first look

    scene.fence.check_deadline()

    assert scene.fence.trip is not None


@pytest.mark.parametrize("whose", [Ownership.OVER, Ownership.TAKEN, Ownership.REPLACED, Ownership.FREE])
def test_a_batch_that_is_not_ours_trips_at_once(whose: Ownership) -> None:
    scene = Scene([whose])
    scene.fence.look()

    assert [(trip.message, trip.lost_contact) for trip in scene.trips] == [(whose.value, False)]


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_is_believed_the_second_time(status: int) -> None:
    refusal = ApiError(status, "", "no")
    scene = Scene([refusal, refusal])

    assert scene.fence.look() == 1.0
    assert not scene.trips
    scene.fence.look()

    assert not scene.trips[0].lost_contact


def test_a_refusal_that_passes_is_forgotten() -> None:
    refusal = ApiError(401, "Unauthorized", "")
    scene = Scene([refusal, Ownership.MINE, refusal])
    for _ in range(3):
        scene.fence.look()

    assert not scene.trips


@pytest.mark.parametrize("error", [ApiError(503, "", ""), ApiError(403, "Forbidden", ""), UNREACHABLE])
def test_a_server_in_trouble_is_only_a_matter_of_time(error: Exception) -> None:
    scene = Scene([error] * 10)
    for _ in range(10):
        scene.fence.look()

    assert not scene.trips


def test_it_trips_only_once() -> None:
    scene = Scene([Ownership.OVER, Ownership.OVER])
    scene.fence.look()
    scene.fence.look()

    assert len(scene.trips) == 1


def test_a_fence_that_was_closed_does_not_trip() -> None:
    scene = Scene([Ownership.OVER])
    scene.fence.close()
    scene.fence.look()

    assert not scene.trips


def test_the_time_counts_from_the_last_reading_before_the_fence() -> None:
    hand = HandClock()
    trips: list[Trip] = []
    fence = Fence(lambda _: Ownership.MINE, 60.0, hand.clock, trips.append, since=hand.seconds - 50.0)

    assert fence.check_deadline() == 10.0
