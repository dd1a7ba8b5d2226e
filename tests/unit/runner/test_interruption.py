from __future__ import annotations

import pytest

from testrunner.endings import Abandoned, EndBatch, Rest
from testrunner.fence import Trip
from testrunner.interruption import EXIT_BY, KEEP_RESULTS_SECONDS, REPORT_BY, Interruption
from tests.unit.runner.clocks import HandClock


def test_nothing_happened() -> None:
    interruption = Interruption(HandClock().clock)
    interruption.raise_if_any()

    assert interruption.seconds_left(EXIT_BY) == float("inf")


def test_a_pod_that_is_asked_to_stop_gives_back_and_yields() -> None:
    interruption = Interruption(HandClock().clock)
    interruption.terminate("SIGTERM")

    with pytest.raises(EndBatch) as raised:
        interruption.raise_if_any()

    ending = raised.value.ending
    assert (ending.phase, ending.reason, ending.rest) == ("Yielded", "Terminated", Rest.GIVE_BACK)
    assert not interruption.stop.at_once


def test_all_its_times_end_before_the_pods_grace_does() -> None:
    hand = HandClock()
    interruption = Interruption(hand.clock)
    interruption.terminate("SIGTERM")
    hand.advance(40.0)

    assert interruption.seconds_left(REPORT_BY) == 5.0
    assert interruption.seconds_left(EXIT_BY) == 15.0
    assert EXIT_BY < 60


def test_asked_twice_it_stops_at_once() -> None:
    interruption = Interruption(HandClock().clock)
    interruption.terminate("SIGINT")
    interruption.terminate("SIGINT")

    assert interruption.stop.at_once


def test_lost_contact_ends_the_batch_and_keeps_results_for_a_while() -> None:
    hand = HandClock()
    interruption = Interruption(hand.clock)
    interruption.fenced(Trip("away", lost_contact=True, at=hand.seconds))

    with pytest.raises(EndBatch):
        interruption.raise_if_any()

    assert interruption.stop.at_once
    assert interruption.seconds_left(REPORT_BY) == KEEP_RESULTS_SECONDS


def test_a_batch_that_is_somebody_elses_is_abandoned_even_after_a_sigterm() -> None:
    interruption = Interruption(HandClock().clock)
    interruption.terminate("SIGTERM")
    interruption.fenced(Trip("another pod owns it", lost_contact=False, at=0.0))

    with pytest.raises(Abandoned, match="another pod"):
        interruption.raise_if_any()


def test_waiting_after_a_stop_is_waiting_and_not_spinning() -> None:
    hand = HandClock()
    interruption = Interruption(hand.clock)
    interruption.fenced(Trip("away", lost_contact=True, at=hand.seconds))
    before = hand.seconds

    interruption.pause(5.0)

    assert hand.seconds == before + 5.0
