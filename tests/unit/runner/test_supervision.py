from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from testrunner.clock import Clock
from testrunner.drivers.base import Stopped
from testrunner.interruption import Interruption
from testrunner.supervision import DriverStuck, Supervisor

if TYPE_CHECKING:
    from testrunner.stop import StopToken


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


def test_work_that_never_stops_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testrunner.supervision.KILL_SECONDS", 0.1)
    driver, stop = supervisor()
    never = threading.Event()
    stop.request("fenced", at_once=True)

    with pytest.raises(DriverStuck, match="fenced"):
        driver.call(never.wait, stop=stop, seconds=60, late="")

    assert not driver.try_briefly(lambda: None, 60)
    never.set()
