"""The `simulate` driver: no device, no app, chosen outcomes. For trying the queue."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from qgjob.api.drivers import SimulatedOutcome, SimulateSettings

from .base import Driver, Stopped, TestResult, TestRun

if TYPE_CHECKING:
    from ..stop import StopToken


class SimulateDriver(Driver):
    """Waits as long as an install and a test would take."""

    name: ClassVar[str] = "simulate"
    needs_app: ClassVar[bool] = False

    @property
    def _settings(self) -> SimulateSettings:
        return self.context.target.driver.simulate or SimulateSettings()

    def install(self) -> None:
        """Take driver.simulate.installSeconds."""
        seconds = self._settings.install_seconds
        self.context.log(f"simulated install of {self.context.app_version_id} ({seconds:g} s)")
        _wait(seconds, self.stop)

    def run(self, test: TestRun) -> TestResult:
        """Take the test's seconds, and come to the outcome that is chosen for this run of it."""
        chosen = choose(self._settings, test.test)
        outcome = chosen.outcomes[min(test.run, len(chosen.outcomes)) - 1]
        seconds = self._settings.test_seconds if chosen.seconds is None else chosen.seconds
        self.context.log(f"simulated run {test.run} of {test.test} ({seconds:g} s)")
        _wait(min(seconds, test.timeout_seconds), test.stop)
        if seconds > test.timeout_seconds:
            return TestResult(
                "failed", f"timed out after {test.timeout_seconds:g} s", cases=1, failed_cases=1
            )
        message = "" if outcome == "passed" else chosen.message or f"simulated: {outcome}"
        self.context.log(message or "simulated: passed")
        return TestResult(outcome, message, cases=1, failed_cases=int(outcome == "failed"))


def choose(settings: SimulateSettings, test: str) -> SimulatedOutcome:
    """What is chosen for a test: the first pattern that matches, else it passes."""
    for each in settings.outcomes:
        if fnmatchcase(test, each.test):
            return each
    return SimulatedOutcome(test="*", outcomes=["passed"])


def _wait(seconds: float, stop: StopToken) -> None:
    if stop.wait(seconds):
        raise Stopped(stop.reason)
