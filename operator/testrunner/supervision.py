"""Waiting for the driver: time limits, stops that are obeyed late or never, and what to do meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from .interruption import PATIENCE_SECONDS, STOP_TEST_BY, Interruption
from .worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock
    from .stop import StopToken

T = TypeVar("T")

#: How often there is a look at the clock and at the world while the driver works; its end is noticed at once.
TICK_SECONDS: Final = 0.25
#: From the moment that a stop must be obeyed at once until the driver counts as stuck.
KILL_SECONDS: Final = 5.0


class DriverStuck(Exception):  # noqa: N818
    """The driver doesn't come back. Its thread can't be ended, only the process can."""


class Supervisor:
    """Has work done by the driver's thread, and waits for it in the main thread."""

    def __init__(self, interruption: Interruption, clock: Clock) -> None:
        self._interruption = interruption
        self._clock = clock
        self._worker = Worker("driver")
        self.stuck = False

    def call(
        self,
        work: Callable[[], T],
        *,
        stop: StopToken,
        seconds: float,
        late: str,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> T:
        """Do the work; returns what it returns and raises what it raises.

        After `seconds`, `stop` is requested with the reason `late`. `meanwhile` is called again and again.
        Raises DriverStuck where the work outlives a stop by too much.
        """
        call = self._worker.call(work)
        deadline = self._clock.monotonic() + seconds
        stopped_at = killed_at = float("inf")
        while not call.wait(TICK_SECONDS):
            now = self._clock.monotonic()
            if now > deadline:
                stop.request(late)
            meanwhile()
            if not stop.requested:
                continue
            stopped_at = min(stopped_at, now)
            left = self._interruption.seconds_left(STOP_TEST_BY)
            if stop.at_once or left <= 0 or now - stopped_at > PATIENCE_SECONDS:
                stop.request(stop.reason, at_once=True)
                killed_at = min(killed_at, now)
            if now - killed_at > KILL_SECONDS:
                self.stuck = True
                raise DriverStuck(f"the driver did not stop: {stop.reason}")
        return call.result()

    def try_briefly(self, work: Callable[[], None], seconds: float) -> bool:
        """Do the work, but wait for it only so many seconds; returns whether it was done."""
        if self.stuck:
            return False
        call = self._worker.call(work)
        if not call.wait(seconds):
            self.stuck = True
            return False
        call.result()
        return True
