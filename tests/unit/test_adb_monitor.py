"""A device is lost after two bad answers in a row, not after one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from testrunner.devices.monitor import DeviceMonitor

if TYPE_CHECKING:
    from collections.abc import Callable


def answers(*given: str) -> tuple[Callable[[float], str], threading.Event]:
    """A probe that gives these answers, then good ones; the event is set when all were given."""
    left, done = list(given), threading.Event()

    def probe(seconds: float) -> str:
        said = left.pop(0) if left else ""
        if not left:
            done.set()
        return said

    return probe, done


def watch(*given: str) -> DeviceMonitor:
    probe, done = answers(*given)
    with DeviceMonitor(probe, interval=0.001) as monitor:
        assert done.wait(10)
    monitor.join()
    return monitor


def test_one_bad_answer_is_chance() -> None:
    assert watch("offline", "", "offline", "").lost == ""


def test_two_in_a_row_are_not() -> None:
    assert watch("", "offline", "not found").lost == "not found"
