"""Waiting, in the batch's time, until the driver can begin a test: for a free session in a cloud, for an emulator."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from qgjob.client import ClientError

from .drivers.base import InfrastructureError, Stopped
from .endings import EndBatch, Ending, Rest
from .supervision import DriverStuck

if TYPE_CHECKING:
    from .claims import Claims
    from .clock import Clock
    from .drivers.base import Driver
    from .interruption import Interruption
    from .log import Log
    from .record import BatchRecord
    from .reporting import Reporter
    from .stop import StopToken
    from .supervision import Supervisor

#: While it waits, batch and claims are read so often: for yields and cancellations.
LOOK_SECONDS: Final = 3.0


class Waiting:
    """Nothing of the batch runs meanwhile, so it may end at any moment. Used by the main thread."""

    def __init__(
        self,
        record: BatchRecord,
        claims: Claims,
        reporter: Reporter,
        *,
        supervisor: Supervisor,
        interruption: Interruption,
        clock: Clock,
        log: Log,
    ) -> None:
        self._record = record
        self._claims = claims
        self._reporter = reporter
        self._supervisor = supervisor
        self._interruption = interruption
        self._clock = clock
        self._log = log
        self._told = False

    def wait(self, driver: Driver, stop: StopToken, *, deadline: float, late: Ending) -> None:
        """Wait until the driver can begin a test; `late` ends the batch at the deadline (monotonic seconds).

        Raises EndBatch, for whatever reason the batch can't go on.
        """
        token = stop.child()
        try:
            self._supervisor.call(
                lambda: driver.await_capacity(token),
                stop=token,
                seconds=max(0.0, deadline - self._clock.monotonic()),
                late=late.message,
                meanwhile=lambda: self.look(token, driver.waiting_for),
            )
        except Stopped:
            raise self._why(driver, late) from None
        except InfrastructureError as error:
            raise self._failed(late.rest, error.reason or "NoCapacity", error.message) from error
        except DriverStuck as error:
            self._interruption.raise_if_any()
            raise self._failed(late.rest, "DriverStuck", str(error)) from error
        except Exception as error:
            self._log.line(traceback.format_exc())
            message = f"the driver failed: {type(error).__name__}: {error}"
            raise self._failed(late.rest, "NoCapacity", message) from error

    def look(self, token: StopToken, waiting_for: str) -> None:
        """While something is waited for: requests `token` where the batch need not go on; `why_over` tells why."""
        self._reporter.flush()
        if token.requested or self._claims.age <= LOOK_SECONDS:
            return
        try:
            self._tell(waiting_for)
            self._record.read()
            self._claims.look()
        except ClientError:
            return  # The fence knows how long this may go on.
        self._claims.cancel_asked(self._record.entries)
        if self._record.spec.yield_ or not self._anything_left:
            token.request("nothing to wait for")

    def _tell(self, what: str) -> None:
        """One write in a batch's life, and only where it waits before its install: people ask then."""
        if what and not self._told:
            self._told = True
            self._record.tell(what)

    def why_over(self) -> EndBatch | None:
        """The batch's end, where it need not go on: it is to make room, or all that it has left is cancelled."""
        if self._record.spec.yield_:
            return EndBatch(Ending("Yielded", "Yield", "made room for more urgent TestJobs"))
        if not self._anything_left:
            return EndBatch(Ending("Completed", "NothingToRun", "all that it had left is cancelled"))
        return None

    def _why(self, driver: Driver, late: Ending) -> EndBatch:
        self._interruption.raise_if_any()
        if over := self.why_over():
            return over
        message = f"{late.message}: {driver.waiting_for}" if driver.waiting_for else late.message
        return EndBatch(Ending(late.phase, late.reason, message, late.rest))

    @property
    def _anything_left(self) -> bool:
        return next(self._claims.open(self._record.entries), None) is not None

    @staticmethod
    def _failed(rest: Rest, reason: str, message: str) -> EndBatch:
        return EndBatch(Ending("Failed", reason, message, rest))
