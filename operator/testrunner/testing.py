"""Running the batch's TestJobs one after another, while the world may change its mind about them."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from qgjob.client import ClientError

from .drivers.base import InfrastructureError, Stopped, SubmitterError, TestResult
from .driving import Driving, Running
from .endings import Abandoned, EndBatch, Ending, Rest
from .standing import Ownership, Standing
from .supervision import DriverStuck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from qgjob.api.testbatch import BatchJob

    from .artifacts.collection import Collection
    from .claims import Claims
    from .clock import Clock
    from .installing import Installed, Installing
    from .interruption import Interruption
    from .log import Log
    from .record import BatchRecord
    from .reporting import Job, Reporter
    from .supervision import Supervisor
    from .tally import Tally
    from .turns import Turns
    from .waiting import Waiting

#: While a test runs, all claims are read so often: for cancellations and claims that were taken away.
LOOK_SECONDS: Final = 3.0
#: Before a test, the batch is read again if it was read longer ago: for a yield and for late TestJobs.
READ_BATCH_SECONDS: Final = 2.0


class Testing:
    """Runs tests until none is left; then, or earlier, raises EndBatch."""

    __test__ = False

    def __init__(
        self,
        record: BatchRecord,
        claims: Claims,
        reporter: Reporter,
        *,
        turns: Turns,
        installing: Installing,
        installed: Installed,
        tally: Tally,
        supervisor: Supervisor,
        interruption: Interruption,
        waiting: Waiting,
        batch_deadline: float,
        environment: Mapping[str, str],
        collection: Collection | None,
        clock: Clock,
        log: Log,
    ) -> None:
        self._record = record
        self._claims = claims
        self._reporter = reporter
        self._turns = turns
        self._installing = installing
        self._driver = installed.driver
        self._context = installed.context
        self._driver_stop = installed.stop
        self._tally = tally
        self._interruption = interruption
        self._waiting = waiting
        self._batch_deadline = batch_deadline
        self._collection = collection
        self._clock = clock
        self._log = log
        self._driving = Driving(
            installed,
            supervisor=supervisor,
            batch_deadline=batch_deadline,
            batch_late=self._batch_timeout().message,
            environment=environment,
            clock=clock,
            log=log,
        )

    def run(self) -> None:
        """Run them all. Always ends by EndBatch (or Abandoned)."""
        while (following := self._turns.next(self._check)) is not None:
            entry, job = following
            source = None if job["spec"].get("cancel") else self._installing.source_of(entry, job)
            started = None
            if source is not None:
                self._await_capacity()
                started = self._start(entry, job, source.commit)
            # Not before it is started: what an interruption leaves here is settled with the rest.
            self._claims.handled(entry)
            if job["spec"].get("cancel") or (started and started["spec"].get("cancel")):
                self._reporter.cancel(entry, started or job)
            elif source is not None and started is not None:
                self._run_one(entry, started, source.folder)
        raise EndBatch(Ending("Completed", ""))

    def _await_capacity(self) -> None:
        """Before a test is marked as started: what it waits for is none of its time."""
        rest = Rest.GIVE_BACK if self._driving.runs else Rest.CHARGE
        self._waiting.wait(
            self._driver,
            self._driver_stop,
            deadline=self._batch_deadline,
            late=self._batch_timeout(rest),
        )

    def _start(self, entry: BatchJob, job: Job, revision: str) -> Job | None:
        started = self._reporter.start(entry, job, self._give_up, revision=revision)
        self._interruption.raise_if_any()
        if started is None and self._clock.monotonic() > self._batch_deadline:
            raise EndBatch(self._batch_timeout())
        return started

    def _check(self) -> None:
        """Whether a next test may start at all."""
        self._interruption.raise_if_any()
        self._reporter.flush()
        if self._clock.monotonic() > self._batch_deadline:
            # Where not even one test had its turn, giving them back for nothing would go round for ever.
            raise EndBatch(self._batch_timeout(Rest.GIVE_BACK if self._driving.runs else Rest.CHARGE))
        if self._record.age > READ_BATCH_SECONDS:
            try:
                whose = self._record.read()
            except ClientError:
                whose = Ownership.MINE  # The fence knows how long this may go on.
            if whose is not Ownership.MINE:
                raise Abandoned(whose.value)
        if self._record.spec.yield_:
            raise EndBatch(Ending("Yielded", "Yield", "made room for more urgent TestJobs"))

    def _give_up(self, seconds: float) -> bool:
        self._interruption.pause(seconds)
        return self._interruption.stop.requested or self._clock.monotonic() > self._batch_deadline

    def _run_one(self, entry: BatchJob, job: Job, source: Path) -> None:
        reports = self._context.workdir / "reports" / f"{self._driving.runs + 1:04}-{entry.name[:200]}"
        reports.parent.mkdir(exist_ok=True)
        log = reports.with_name(f"{reports.name}.log")
        running = Running(
            entry,
            job,
            self._driver_stop.child(),
            reports,
            log,
            started_at=self._clock.now(),
            begun=self._clock.monotonic(),
        )
        self._log.begin(entry.name, entry.attempt, log if self._collection else None)
        timeout = float(job["spec"].get("timeoutSeconds") or self._installing.target.timeouts.test_seconds)
        result: TestResult | None
        stuck = False
        try:
            result = self._driving.run(running, source, timeout, lambda: self._meanwhile(running))
        except Stopped:
            result = None
        except DriverStuck as error:
            result, stuck = TestResult("infrastructure", str(error)), True
        except InfrastructureError as error:
            result = TestResult(
                "infrastructure", error.message, device_lost=error.device_lost, reason=error.reason
            )
        except SubmitterError as error:
            result = TestResult("failed", error.message, final_reason=error.reason)
        except Exception as error:  # noqa: BLE001 - a driver is anybody's code
            self._log.output(traceback.format_exc())
            result = TestResult("infrastructure", f"the driver failed: {type(error).__name__}: {error}")
        started_at = running.started_at
        seconds = self._clock.monotonic() - running.begun
        word, settled = self._settle(running, result)
        if result is not None and result.message:
            self._log.output(result.message)
        self._log.end(entry.name, entry.attempt, word)
        if settled is not None:
            link = self._collection.link(entry, started_at) if self._collection else ""
            final = lifecycle.Result(
                settled.outcome,
                settled.message,
                started=started_at,
                cases=settled.cases,
                failed_cases=settled.failed_cases,
                skipped_cases=settled.skipped_cases,
                device=self._context.device.name if self._context.device else "",
                final_reason=settled.final_reason,
                reason=self._reason(running, settled),
                artifacts=link,
                session=settled.session,
                video=settled.video,
            )
            outcome, test = settled.outcome, str(job["spec"]["test"])
            self._reporter.outcome(
                entry, job, final, lambda: self._tally.ran(entry.name, test, outcome, seconds)
            )
            self._keep(running, started_at, final)
        self._end_after(running, result, stuck=stuck)

    def _keep(self, running: Running, started_at: datetime, result: lifecycle.Result) -> None:
        """Have what the attempt left behind stored, after its result was sent."""
        if self._collection is None:
            return
        spec = running.job["spec"]
        about = {
            "testJob": running.entry.name,
            "namespace": self._record.namespace,
            "uid": running.entry.uid,
            **{field: spec[field] for field in ("orgId", "appVersionId", "test", "target")},
            "attempt": running.entry.attempt,
            "outcome": result.outcome,
            "message": self._context.paths.text(result.message),
            "startTime": lifecycle.timestamp(started_at),
            "finishTime": lifecycle.timestamp(self._clock.now()),
            "cases": result.cases,
            "failedCases": result.failed_cases,
            "skippedCases": result.skipped_cases,
            "device": result.device,
            "driver": self._installing.target.driver.name,
            "batch": self._record.name,
            "pod": running.job["status"].get("pod", ""),
        }
        self._collection.keep(
            running.entry, started_at, reports=running.reports, log=running.log, about=about
        )

    def _meanwhile(self, running: Running) -> None:
        """While the test runs: send what is pending, and see whether the test may go on."""
        self._reporter.flush()
        if self._clock.monotonic() > self._batch_deadline and not running.stop.requested:
            running.batch_over = True
            running.stop.request(self._batch_timeout().message)
        if self._claims.age <= LOOK_SECONDS or running.stop.requested:
            return
        try:
            self._claims.look()
            job = self._claims.job(running.entry) or self._reporter.get(running.entry.name)
        except ClientError:
            return  # The fence knows how long this may go on.
        if self._reporter.standing(job, running.entry) is not Standing.RUNNING:
            running.taken = True
            running.stop.request("the TestJob was taken away from this batch", at_once=True)
        elif job is not None and job["spec"].get("cancel"):
            running.cancelled = True
            running.stop.request("cancelled by spec.cancel")
        self._claims.cancel_asked(self._record.entries)

    def _settle(self, running: Running, result: TestResult | None) -> tuple[str, TestResult | None]:
        """The word for the log, and what to write; None where nothing is, or something else was.

        Once a stop was asked for, only a pass still counts: whatever else comes, the stop may have caused.
        """
        if result is not None and (result.outcome == "passed" or not running.stop.requested):
            return result.outcome, result
        if running.taken:
            return "taken", None
        if running.cancelled:
            self._reporter.cancel(running.entry, running.job)
            return "cancelled", None
        if not running.stop.requested:
            settled = TestResult("infrastructure", "the driver stopped without having been asked to")
        elif running.batch_over or self._driver_stop.requested:
            settled = TestResult("infrastructure", f"stopped while it ran: {running.stop.reason}")
        else:
            settled = TestResult("failed", running.stop.reason)
        return settled.outcome, settled

    def _reason(self, running: Running, settled: TestResult) -> str:
        """A more exact reason than Infrastructure, while it waits for its retry."""
        if settled.outcome != "infrastructure":
            return ""
        if settled.device_lost:
            return "DeviceLost"
        if running.batch_over:
            return "BatchTimeout"
        if settled.reason:
            return settled.reason
        return "Terminated" if self._interruption.terminated else ""

    def _end_after(self, running: Running, result: TestResult | None, *, stuck: bool) -> None:
        """Raises EndBatch where no further test may run after this one."""
        self._interruption.raise_if_any()
        if stuck and result is not None:
            raise EndBatch(Ending("Failed", "DriverStuck", result.message))
        if result is not None and result.device_lost:
            raise EndBatch(Ending("Failed", "DeviceLost", result.message))
        if running.app_broken:
            raise EndBatch(Ending("Failed", "InstallFailed", running.app_broken))
        if running.batch_over:
            raise EndBatch(self._batch_timeout())
        if self._driver_stop.requested:
            raise EndBatch(Ending("Failed", "InstallFailed", self._driver_stop.reason))

    def _batch_timeout(self, rest: Rest = Rest.GIVE_BACK) -> Ending:
        limit = self._installing.target.timeouts.batch_seconds
        message = f"the batch took longer than {limit} s (the TestTarget's timeouts.batchSeconds)"
        return Ending("Completed", "BatchTimeout", message, rest)
