"""The end of a batch: TestJobs that were not run, results that were not sent, the driver, the last write."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from qgjob.api.lifecycle import Result
from qgjob.client import ApiError, ClientError

from .answers import is_away, pause
from .endings import Abandoned, Ending, Rest
from .interruption import EXIT_BY, KEEP_RESULTS_SECONDS, REPORT_BY
from .standing import Ownership, Standing

if TYPE_CHECKING:
    from qgjob.api.testbatch import BatchJob

    from .claims import Claims
    from .clock import Clock
    from .drivers.base import Driver
    from .fence import Fence
    from .interruption import Interruption
    from .log import Log
    from .record import BatchRecord
    from .reporting import Job, Reporter
    from .supervision import Supervisor
    from .tally import Tally

#: A driver's close gets so many seconds.
CLOSE_DRIVER_SECONDS: Final = 20.0


class Closing:
    """Leaves nothing behind: no claim, no unsent result, no driver; then the batch reads as over."""

    def __init__(
        self,
        record: BatchRecord,
        claims: Claims,
        reporter: Reporter,
        *,
        tally: Tally,
        fence: Fence,
        supervisor: Supervisor,
        interruption: Interruption,
        clock: Clock,
        log: Log,
    ) -> None:
        self._record = record
        self._claims = claims
        self._reporter = reporter
        self._tally = tally
        self._fence = fence
        self._supervisor = supervisor
        self._interruption = interruption
        self._clock = clock
        self._log = log

    def close(self, ending: Ending, driver: Driver | None) -> bool:
        """End the batch; returns whether everything was written. Raises Abandoned, ClientError."""
        name = f"batch {self._record.name}"
        ending = replace(ending, message=self._reporter.in_words(ending.message))
        self._log.line(f"{name} ends: {ending.phase} {ending.reason} {ending.message}".rstrip())
        lost_contact = self._fence.trip is not None
        if lost_contact:
            # The wait may be long, and the device is needed by others.
            self._close_driver(driver)
        written = self._settle_rest(ending) and self._send_pending()
        if not lost_contact:
            self._close_driver(driver)
        # The driver is closed first: a batch that is over has let go of its device.
        written = self._write_end(ending) and written
        self._log.line(
            f"{name}: {self._tally.passed} passed, {self._tally.failed} failed, "
            f"{self._tally.infrastructure} infrastructure, {self._tally.given_back} given back"
        )
        return written

    def _settle_rest(self, ending: Ending) -> bool:
        """What this pod has claimed and not run goes where the ending says."""
        tries = 0
        while True:
            try:
                self._still_ours(self._record.read())
                self._claims.look()
                break
            except ClientError as error:
                if not is_away(error):
                    raise
                if self._interruption.seconds_left(REPORT_BY) <= 0:
                    return False
                tries += 1
                self._interruption.pause(pause(tries))
        for entry, job in list(self._claims.open(self._record.entries)):
            self._claims.handled(entry)
            self._settle(entry, job, ending)
        return True

    def _settle(self, entry: BatchJob, job: Job, ending: Ending) -> None:
        if job["spec"].get("cancel"):
            self._reporter.cancel(entry, job)
        elif self._reporter.standing(job, entry) is Standing.RUNNING:
            # Its start was written, but the answer came too late to run it.
            result = Result("infrastructure", f"not run: {ending.message or ending.reason}")
            self._reporter.outcome(entry, job, result, lambda: self._tally.charged("infrastructure"))
        elif ending.rest is Rest.GIVE_BACK:
            self._reporter.give_back(entry, job, self._tally.gave_back)
        else:
            final = ending.reason if ending.rest is Rest.DEAD_LETTER else ""
            result = Result(
                "failed" if final else "infrastructure",
                ending.message,
                device=self._record.spec.device.name if self._record.spec.device else "",
                final_reason=final,
                reason=ending.reason,
            )
            self._reporter.charge(entry, job, result, lambda: self._tally.charged(result.outcome))

    def _send_pending(self) -> bool:
        while self._reporter.pending:
            if self._interruption.seconds_left(REPORT_BY) <= 0:
                self._log.line(f"{self._reporter.pending} statuses could not be written in time")
                return False
            self._reporter.flush()
            if self._reporter.pending:
                self._interruption.pause(0.5)
        return True

    def _close_driver(self, driver: Driver | None) -> None:
        if driver is None:
            return
        seconds = max(1.0, min(CLOSE_DRIVER_SECONDS, self._interruption.seconds_left(EXIT_BY) - 5.0))
        try:
            if not self._supervisor.try_briefly(driver.close, seconds):
                self._log.line("the driver did not close in time; it ends with the process")
        except Exception:  # noqa: BLE001 - a driver is anybody's code
            self._log.line(traceback.format_exc())

    def _write_end(self, ending: Ending) -> bool:
        self._fence.close()
        give_up_at = self._clock.monotonic() + KEEP_RESULTS_SECONDS
        finish = lifecycle.timestamp(self._clock.now())
        tries = 0
        while True:
            status = {
                **self._tally.status(),
                "phase": ending.phase,
                "finishTime": finish,
                "reason": ending.reason,
                "message": lifecycle.clip(ending.message),
            }
            try:
                self._record.close(status)
                return True
            except ClientError as error:
                conflict = isinstance(error, ApiError) and error.is_conflict
                if not conflict and not is_away(error):
                    raise
                late = self._clock.monotonic() > give_up_at
                if late or self._interruption.seconds_left(EXIT_BY) <= 0:
                    self._log.line(f"the batch's end could not be written: {error}")
                    return False
            try:
                if self._closed_already(self._record.read()):
                    return True
                # It changed: TestJobs may have joined it too late to be run here.
                self._settle_rest(Ending(ending.phase, ending.reason, ending.message))
                self._send_pending()
            except ClientError:
                tries += 1
                self._interruption.pause(pause(tries))

    def _closed_already(self, whose: Ownership) -> bool:
        if self._record.closed_by_us():
            return True
        self._still_ours(whose)
        return False

    def _still_ours(self, whose: Ownership) -> None:
        if whose is not Ownership.MINE:
            # Whoever took the batch decides about the rest; what has run is still true, and tested patches
            # can't hurt.
            self._reporter.flush(now=True)
            raise Abandoned(whose.value)
