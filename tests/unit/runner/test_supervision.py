from __future__ import annotations

import threading
import time

import pytest

from testrunner.clock import Clock
from testrunner.drivers.base import Stopped
from testrunner.interruption import STOP_TEST_BY, Interruption
from testrunner.stop import StopToken
from testrunner.supervision import DriverStuck, Supervisor
from tests.unit.runner.clocks import HandClock


def supervisor() -> tuple[Supervisor, StopToken]:
    interruption = Interruption(Clock())
    return Supervisor(interruption, Clock()), interruption.stop.child()


def obey(stop: StopToken) -> None:
    stop.wait(60)
    raise Stopped(stop.reason)


def test_what_the_work_returns_and_raises_comes_back() -> None:
    driver, stop = supervisor()

    assert driver.call(lambda: 42, stop=stop, seconds=60, late="") == 42
    with pytest.raises(ZeroDivisionError):
        driver.call(lambda: 1 // 0, stop=stop, seconds=60, late="")


def test_work_that_takes_too_long_is_asked_to_stop_with_the_reason() -> None:
    driver, stop = supervisor()

    with pytest.raises(Stopped, match="too long"):
        driver.call(lambda: obey(stop), stop=stop, seconds=0.1, late="too long")


def test_all_work_is_done_by_one_thread() -> None:
    driver, stop = supervisor()
    threads = {driver.call(threading.get_ident, stop=stop, seconds=60, late="") for _ in range(3)}

    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_driver_that_tidies_up_too_long_is_cut_short_before_the_pods_grace_ends() -> None:
    hand = HandClock()
    interruption = Interruption(hand.clock)
    driver, stop = Supervisor(interruption, hand.clock), interruption.stop.child()
    asked_at = hand.seconds

    def tidy_up() -> float:
        while not stop.at_once:
            time.sleep(0.001)
        return hand.seconds

    interruption.terminate("SIGTERM")
    ended_at = driver.call(tidy_up, stop=stop, seconds=3600, late="", meanwhile=lambda: hand.advance(5))

    assert ended_at - asked_at == pytest.approx(STOP_TEST_BY, abs=5)


def test_without_a_sigterm_it_may_take_its_time() -> None:
    hand = HandClock()
    driver = Supervisor(Interruption(hand.clock), hand.clock)
    stop = StopToken()
    stop.request("cancelled")
    tidy = threading.Event()

    def turn_the_clock() -> None:
        hand.advance(100)
        if hand.seconds > 1500:
            tidy.set()

    assert driver.call(tidy.wait, stop=stop, seconds=3600, late="", meanwhile=turn_the_clock)
    assert not stop.at_once


def test_work_that_never_stops_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testrunner.supervision.KILL_SECONDS", 0.1)
    driver, stop = supervisor()
    never = threading.Event()
    stop.request("fenced", at_once=True)

    with pytest.raises(DriverStuck, match="fenced"):
        driver.call(never.wait, stop=stop, seconds=60, late="")

    assert not driver.try_briefly(lambda: None, 60)
    never.set()
