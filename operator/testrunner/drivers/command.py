"""The `command` driver: any framework with an install command, a test command and JUnit XML reports."""

from __future__ import annotations

import os
import re
import shutil
import signal
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Final

from ..devices.adb import Adb
from ..devices.monitor import DeviceMonitor
from ..devices.preflight import make_ready
from ..environment import base_environment, batch_environment
from ..junit import JUnitError, JUnitSummary, read_reports
from ..process import ProcessEnd, run_process
from ..sources.lookup import require_test
from .base import BatchContext, Driver, InfrastructureError, Stopped, TestResult, TestRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from qgjob.api.drivers import CommandSettings
    from qgjob.api.lifecycle import OutcomeName
    from qgjob.api.testtarget import TestTargetSpec

    from ..masking import Masks
    from ..stop import StopToken

# What a shell makes of: a program that can't be executed, one that isn't there.
_NOT_STARTED: Final = {126: "a program could not be executed", 127: "a program was not found"}
# … and of one that a signal killed: 128 + its number. No test says so; the kernel or the node does.
_KILLED: Final = {128 + number: number for number in (signal.SIGKILL, signal.SIGTERM)}


class CommandDriver(Driver):
    """Runs the target's commands as they are given: argument lists, no shell unless they name one."""

    name: ClassVar[str] = "command"
    needs_app: ClassVar[bool] = False

    @classmethod
    def for_target(cls, target: TestTargetSpec) -> type[Driver]:
        """Another class where the device is in a cloud."""
        if target.provider.browserstack is None:
            return cls
        from ..browserstack.command import CloudCommandDriver  # noqa: PLC0415 - it is a class of this kind

        return CloudCommandDriver

    @property
    def _settings(self) -> CommandSettings:
        settings = self.context.target.driver.command
        if settings is None:
            raise InfrastructureError("the TestTarget has no driver.command.test: nothing to run")
        return settings

    #: Marks of an infrastructure failure beside the target's.
    own_patterns: tuple[re.Pattern[str], ...] = ()

    def __init__(self, context: BatchContext, stop: StopToken) -> None:
        super().__init__(context, stop)
        self._adb: Adb | None = None

    def prepare(self) -> None:
        """Check the settings, before an install is spent on them, and connect the device if there is one."""
        compile_patterns(self._settings.infrastructure_patterns)
        device = self.context.device
        if device is None or not device.address:
            return
        if shutil.which("adb") is None:
            self.context.log(f"no adb in this image: {device.name} is left to the target's commands")
            return
        environment = base_environment(os.environ)
        self._adb = Adb(device.address, device.name, environment=environment, log=self.context.log)
        make_ready(self._adb, self.context.target, self.stop, self.context.log)

    def install(self) -> None:
        """Run driver.command.install."""
        self._auxiliary("install", self._settings.install)

    def clear(self) -> None:
        """Run driver.command.clear."""
        self._auxiliary("clear", self._settings.clear)

    def run(self, test: TestRun) -> TestResult:
        """Run driver.command.test in the source's folder, and read its reports."""
        settings = self._settings
        require_test(test.source, test.test)
        patterns = [*compile_patterns(settings.infrastructure_patterns), *self.own_patterns]
        marked: list[str] = []

        def on_line(line: str) -> None:
            self.context.log(line)
            if not marked and any(pattern.search(line) for pattern in patterns):
                marked.append(line.strip())

        with self._watching() as lost, self._device_log(test.report_dir):
            end = _run(
                settings.test,
                cwd=test.source,
                env=self.with_device(test.env),
                timeout=test.timeout_seconds,
                stop=test.stop,
                stop_signal=signal.Signals[settings.stop_signal],
                grace=float(settings.grace_seconds),
                on_line=on_line,
                masks=self.context.masks,
                watch=lost,
            )
        if end.stopped:
            raise Stopped(test.stop.reason)
        if self._adb is not None and end.watch_message:
            raise self._adb.lost(end.watch_message)
        reports = sorted(path for path in test.report_dir.glob(settings.junit) if path.is_file())
        try:
            summary, problem = read_reports(reports), ""
        except JUnitError as error:
            summary, problem = JUnitSummary(), str(error)
        result = judge(
            end,
            summary,
            timeout_seconds=test.timeout_seconds,
            report_problem=problem,
            expected_reports=settings.junit,
            infrastructure_exit_codes=settings.infrastructure_exit_codes,
            infrastructure_line=next(iter(marked), "") or _marked_failure(summary, patterns),
        )
        if result.outcome != "passed" and self._adb is not None and (said := self._adb.probe()):
            raise self._adb.lost(said)
        return result

    def close(self) -> None:
        """End the adb server."""
        if self._adb is not None:
            self._adb.close()

    @contextmanager
    def _watching(self) -> Iterator[Callable[[], str]]:
        """Says why the device is lost, as soon as it is."""
        if self._adb is None:
            yield lambda: ""
            return
        with DeviceMonitor(self._adb.probe) as monitor:
            yield lambda: monitor.lost

    def _device_log(self, folder: Path) -> AbstractContextManager[object]:
        """Only for those who keep it."""
        if self._adb is None or self.context.target.artifacts is None:
            return nullcontext()
        return self._adb.log_into(folder)

    def with_device(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What a command needs to reach the device: its adb talks to the server that has it."""
        own = {} if self._adb is None else {"ANDROID_ADB_SERVER_PORT": str(self._adb.server_port)}
        return {**environment, **own}

    def _auxiliary(self, what: str, argv: Sequence[str]) -> None:
        if not argv:
            return
        end = _run(
            argv,
            cwd=self.context.sources[0] if self.context.sources else self.context.workdir,
            env=self.with_device(batch_environment(os.environ, self.context)),
            # The runner keeps the time of an install: it asks to stop when that is over.
            timeout=float(self.context.target.timeouts.install_seconds),
            stop=self.stop,
            on_line=self.context.log,
            masks=self.context.masks,
        )
        if end.stopped:
            raise Stopped(self.stop.reason)
        if end.timed_out:
            raise InfrastructureError(f"the {what} command took too long")
        if end.returncode != 0:
            if self._adb is not None and (said := self._adb.probe()):
                raise self._adb.lost(said)
            raise InfrastructureError(f"the {what} command ended with {_describe(end)}")


def judge(
    end: ProcessEnd,
    summary: JUnitSummary,
    *,
    timeout_seconds: float,
    report_problem: str = "",
    expected_reports: str = "*.xml",
    infrastructure_exit_codes: Sequence[int] = (),
    infrastructure_line: str = "",
) -> TestResult:
    """What a test command came to, by how it ended and what its reports say. Pure.

    Only exit code 0 with at least one reported case and no failed one is a pass: a command that ran nothing
    must not turn a build green. What did not pass is a test failure, unless the target's exit codes or
    patterns mark it as infrastructure, or the command was killed, or could not be started.
    """

    def result(outcome: OutcomeName, message: str) -> TestResult:
        return TestResult(
            outcome,
            message,
            cases=summary.cases,
            failed_cases=summary.failed,
            skipped_cases=summary.skipped,
        )

    if end.timed_out:
        return result("failed", f"timed out after {timeout_seconds:g} s")
    passed = end.returncode == 0 and not summary.failed
    if end.returncode in infrastructure_exit_codes:
        return result("infrastructure", f"ended with {_describe(end)}")
    if end.returncode < 0 or end.returncode in _KILLED or end.returncode in _NOT_STARTED:
        return result("infrastructure", f"ended with {_describe(end)}")
    if not passed and infrastructure_line:
        return result("infrastructure", infrastructure_line)
    if summary.failed:
        return result("failed", summary.message())
    if end.returncode != 0:
        return result("failed", f"ended with {_describe(end)}")
    if report_problem:
        return result("failed", f"exit code 0, but its report is broken: {report_problem}")
    if summary.cases == 0:
        message = f"exit code 0, but no test case was reported in QGJOB_REPORT_DIR/{expected_reports}"
        return result("failed", message)
    if summary.skipped == summary.cases:
        return result("passed", "every case was skipped")
    return result("passed", "")


def compile_patterns(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """The target's patterns. Raises InfrastructureError where one is no regular expression."""
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        message = (
            f"driver.command.infrastructurePatterns: {error.pattern!r} is no regular expression: {error}"
        )
        raise InfrastructureError(message) from error


def _marked_failure(summary: JUnitSummary, patterns: Sequence[re.Pattern[str]]) -> str:
    for failure in summary.failures:
        if any(pattern.search(failure.text) for pattern in patterns):
            return f"{failure.case}: {failure.message}"
    return ""


def _run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stop: StopToken,
    stop_signal: signal.Signals = signal.SIGINT,
    grace: float = 10.0,
    on_line: Callable[[str], None],
    masks: Masks,
    watch: Callable[[], str] | None = None,
) -> ProcessEnd:
    try:
        return run_process(
            argv,
            cwd=cwd,
            env=env,
            timeout=timeout,
            stop=stop,
            stop_signal=stop_signal,
            grace=grace,
            on_line=on_line,
            masks=masks,
            watch=watch,
        )
    except OSError as error:
        message = f"{argv[0]!r} can't be started: {error.strerror}. Is it in the runner's image?"
        raise InfrastructureError(message) from error


def _describe(end: ProcessEnd) -> str:
    number = -end.returncode if end.returncode < 0 else _KILLED.get(end.returncode, 0)
    if number:
        try:
            text = f"signal {signal.Signals(number).name}"
        except ValueError:
            text = f"signal {number}"
        if number == signal.SIGKILL:
            text += " (out of memory?)"
    else:
        text = f"exit code {end.returncode}"
        if why := _NOT_STARTED.get(end.returncode):
            text += f" ({why})"
    last = next((line.strip() for line in reversed(end.tail.splitlines()) if line.strip()), "")
    return f"{text}: {last}" if last else text
