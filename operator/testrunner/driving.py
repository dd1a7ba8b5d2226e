"""One test in the driver's hands: the app made ready for it, room for it, its run, and what the run finds around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from qgjob.api.testjob import TestJobSpec

from .drivers.base import InfrastructureError, NoCapacityError, SubmitterError, TestResult, TestRun
from .environment import run_environment
from .isolation import Isolation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from qgjob.api.testbatch import BatchJob

    from .clock import Clock
    from .installing import Installed
    from .log import Log
    from .reporting import Job
    from .stop import StopToken
    from .supervision import Supervisor

#: A driver keeps a test's time by itself; the runner steps in so much later.
OVERTIME_SECONDS: Final = 60.0
#: A test that finds no capacity (NoCapacityError) is begun so often.
TRIES_TO_BEGIN: Final = 6


@dataclass(slots=True)
class Running:
    """The test that runs now."""

    entry: BatchJob
    job: Job
    stop: StopToken
    #: Where its reports go, and the copy of its part of the log.
    reports: Path
    log: Path
    #: When it began, by the wall clock and in monotonic seconds; later where it had to begin again.
    started_at: datetime
    begun: float
    cancelled: bool = False
    taken: bool = False
    batch_over: bool = False
    #: The app could not be brought back to a known state: no further test may run in it.
    app_broken: str = ""


class Driving:
    """Has the driver run one test after another. Used by the main thread; the driver works in its own."""

    def __init__(
        self,
        installed: Installed,
        *,
        supervisor: Supervisor,
        batch_deadline: float,
        batch_late: str,
        environment: Mapping[str, str],
        clock: Clock,
        log: Log,
    ) -> None:
        """`batch_late` says that the batch is over at `batch_deadline` (the clock's monotonic seconds)."""
        self._driver = installed.driver
        self._context = installed.context
        self._driver_stop = installed.stop
        self._isolation = Isolation(installed.context.workdir, log.output)
        self._supervisor = supervisor
        self._batch_deadline = batch_deadline
        self._batch_late = batch_late
        self._environment = environment
        self._clock = clock
        self._log = log
        #: Runs that were begun so far.
        self.runs = 0

    def run(
        self, running: Running, source: Path, timeout: float, meanwhile: Callable[[], None]
    ) -> TestResult:
        """Run one test, again where others have taken what it needs: in the batch's time, not in the test's.

        `meanwhile` is called again and again. Sets `running.app_broken`, and its beginning where it had to begin again.
        Raises what a driver may raise, DriverStuck, Stopped.
        """
        said = NoCapacityError("")
        for number in range(TRIES_TO_BEGIN):
            if number:
                self._log.output(f"{said.message}; it is begun again when there is room")
                self._supervisor.call(
                    lambda: self._driver.await_capacity(running.stop),
                    stop=running.stop,
                    seconds=self._batch_deadline - self._clock.monotonic(),
                    late=self._batch_late,
                    meanwhile=meanwhile,
                )
                running.started_at, running.begun = self._clock.now(), self._clock.monotonic()
            self.runs += 1
            try:
                if self.runs > 1:
                    self._make_app_ready(running, meanwhile)
                return self._supervisor.call(
                    lambda: self._drive(running, source, timeout),
                    stop=running.stop,
                    seconds=timeout + OVERTIME_SECONDS,
                    late=f"timed out after {timeout:g} s",
                    meanwhile=meanwhile,
                )
            except NoCapacityError as error:
                said = error
        message = f"{said.message} (begun {TRIES_TO_BEGIN} times)"
        return TestResult("infrastructure", message, reason=said.reason or "NoCapacity")

    def _make_app_ready(self, running: Running, meanwhile: Callable[[], None]) -> None:
        """What is left of the test before goes: in an install's time, not in the test's."""
        limit = self._context.target.timeouts.install_seconds
        self._supervisor.call(
            lambda: self._reset_app(running),
            stop=self._driver_stop,
            # A driver that keeps its time by itself says more about it, and can go on.
            seconds=limit + OVERTIME_SECONDS,
            late=f"the app was not ready for the next test within {limit} s (timeouts.installSeconds)",
            meanwhile=meanwhile,
        )

    def _reset_app(self, running: Running) -> None:
        if running.job["spec"].get("isolation", "clear") == "clear":
            self._driver.clear()
            return
        try:
            self._driver.install()
        except SubmitterError as error:
            # It was installed from the same package before.
            running.app_broken = error.message
            raise InfrastructureError(error.message) from error
        except InfrastructureError as error:
            running.app_broken = error.message
            raise

    def _drive(self, running: Running, source: Path, timeout: float) -> TestResult:
        """The driver's part of one test (in the driver's thread)."""
        spec = TestJobSpec.model_validate(running.job["spec"])
        status = running.job["status"]
        failures = lifecycle.get(status, "failures")
        charged = lifecycle.get(status, "infrastructureFailures")
        # attempts[] keeps the last ones only; the counters go on (until a replay).
        run = max(len(lifecycle.get(status, "attempts")), failures + charged) + 1
        running.reports.mkdir(exist_ok=True)
        environment = run_environment(
            self._environment,
            self._context,
            job=running.entry.name,
            job_env={variable.name: variable.value for variable in spec.env},
            test=spec.test,
            run=run,
            failures=failures,
            report_dir=running.reports,
        )
        with self._isolation.around(source) as own:
            result = self._driver.run(
                TestRun(
                    name=running.entry.name,
                    test=spec.test,
                    source=source,
                    env=environment | own,
                    timeout_seconds=timeout,
                    attempt=running.entry.attempt,
                    run=run,
                    failures=failures,
                    isolation=spec.isolation,
                    report_dir=running.reports,
                    stop=running.stop,
                )
            )
        if not isinstance(result, TestResult):
            raise TypeError(f"run() returned {result!r}, which is no TestResult")
        return result
