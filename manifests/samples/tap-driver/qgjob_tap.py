"""A qgjob driver for scripts that print TAP (testanything.org): `ok 1 - starts`, `not ok 2 - has a basket`.

`Bail out! …` says that the script could not test at all: an infrastructure failure, which costs none of maxRetries.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from testrunner.devices.adb import Adb
from testrunner.devices.preflight import make_ready
from testrunner.drivers.base import (
    BatchContext,
    Driver,
    InfrastructureError,
    Stopped,
    TestResult,
    TestRun,
)
from testrunner.environment import base_environment
from testrunner.process import ProcessEnd, run_process
from testrunner.sources.lookup import require_test

if TYPE_CHECKING:
    from testrunner.stop import StopToken

CASE = re.compile(r"(not )?ok\b[ \d]*(?:- )?([^#]*)(?:#\s*(skip|todo))?", re.IGNORECASE)
BAIL_OUT = "Bail out!"


class Settings(BaseModel, extra="forbid"):
    """What stands in the TestTarget's driver.settings."""

    #: Runs a script, which is its last argument.
    interpreter: list[str] = ["sh"]
    #: Android package of the app; it is installed and cleared by adb where this is given.
    package: str = ""


class TapDriver(Driver):
    """One process per TestJob; what it prints is its report."""

    name = "tap"
    needs_app = False

    def __init__(self, context: BatchContext, stop: StopToken) -> None:
        super().__init__(context, stop)
        try:
            self._settings = Settings.model_validate(context.target.driver.settings or {})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in ("driver.settings", *first["loc"]))
            raise InfrastructureError(f"{field} in the TestTarget: {first['msg']}") from error
        self._adb: Adb | None = None

    def prepare(self) -> None:
        """Connect the device, if there is one, and see that it can take a batch."""
        device = self.context.device
        if device is None or not device.address:
            return
        environment = base_environment(os.environ)
        self._adb = Adb(device.address, device.name, environment=environment, log=self.context.log)
        make_ready(self._adb, self.context.target, self.stop, self.context.log)

    def install(self) -> None:
        """Install the app as if for the first time."""
        app, package = self.context.app_path, self._settings.package
        if self._adb is not None and app is not None and package:
            seconds = float(self.context.target.timeouts.install_seconds)
            self._adb.install(app, package, seconds=seconds, stop=self.stop)

    def clear(self) -> None:
        """Clear the app's data."""
        if self._adb is not None and self._settings.package:
            self._adb.clear(self._settings.package)

    def run(self, test: TestRun) -> TestResult:
        """Run one script."""
        require_test(test.source, test.test)
        lines: list[str] = []

        def on_line(line: str) -> None:
            self.context.log(line)
            lines.append(line)

        port = {"ANDROID_ADB_SERVER_PORT": str(self._adb.server_port)} if self._adb else {}
        end = run_process(
            [*self._settings.interpreter, test.test],
            cwd=test.source,
            env={**test.env, **port},
            timeout=test.timeout_seconds,
            stop=test.stop,
            on_line=on_line,
            masks=self.context.masks,
        )
        if end.stopped:
            raise Stopped(test.stop.reason)
        result = judge(lines, end, test.timeout_seconds)
        if result.outcome != "passed" and self._adb is not None and (said := self._adb.probe()):
            raise self._adb.lost(said)
        return result

    def close(self) -> None:
        """End the adb server."""
        if self._adb is not None:
            self._adb.close()


def judge(lines: list[str], end: ProcessEnd, seconds: float) -> TestResult:
    """What a script came to, by what it printed."""
    if bailed := next((line for line in lines if line.startswith(BAIL_OUT)), ""):
        return TestResult("infrastructure", bailed.removeprefix(BAIL_OUT).strip() or bailed)
    cases = [found for line in lines if (found := CASE.match(line))]
    # A case that is marked as to do may fail.
    bad = [case[2].strip() or case[0] for case in cases if case[1] and not case[3]]
    skipped = sum((case[3] or "").lower() == "skip" for case in cases)
    if end.timed_out:
        message = f"timed out after {seconds:g} s"
    elif bad:
        message = f"{len(bad)} of {len(cases)} failed: {'; '.join(bad)}"
    elif end.returncode or not cases:
        message = f"ended with exit code {end.returncode} after {len(cases)} cases"
    else:
        return TestResult("passed", cases=len(cases), skipped_cases=skipped)
    return TestResult("failed", message, cases=len(cases), failed_cases=len(bad), skipped_cases=skipped)
