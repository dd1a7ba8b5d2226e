"""The `command` driver: any framework with an install command, a test command and JUnit XML reports."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, ClassVar

from ..appwright.badging import identify
from ..devices.adb import Adb, find_sdk_tool, install_failure
from ..devices.apk import is_apk, named_like_one
from ..devices.monitor import DeviceMonitor
from ..devices.preflight import make_ready
from ..devices.refusals import culprit
from ..environment import base_environment, batch_environment
from ..junit import JUnitError, JUnitSummary, read_reports
from ..process import ProcessEnd, run_process
from ..sources.lookup import require_test
from .base import (
    BatchContext,
    Driver,
    InfrastructureError,
    Stopped,
    SubmitterError,
    TestResult,
    TestRun,
)
from .command_appium import PATTERNS, CommandAppium
from .judging import compile_patterns, describe, judge, marked_failure

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from qgjob.api.drivers import CommandSettings
    from qgjob.api.testtarget import TestTargetSpec

    from ..masking import Masks
    from ..stop import StopToken


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
        self._appium: CommandAppium | None = None
        #: The app's Android package; empty where there is none, or it is not known.
        self._package = ""

    def prepare(self) -> None:
        """Check the settings, before an install is spent on them, and connect the device if there is one."""
        compile_patterns(self._settings.infrastructure_patterns)
        device = self.context.device
        if device is None or not device.address:
            return
        if shutil.which("adb") is None and not self._settings.appium:
            self.context.log(f"no adb in this image: {device.name} is left to the target's commands")
            return
        environment = base_environment(os.environ)
        self._adb = Adb(device.address, device.name, environment=environment, log=self.context.log)
        if self._settings.appium:
            self._appium = CommandAppium(self.context, self._adb)
        make_ready(self._adb, self.context.target, self.stop, self.context.log)
        if self._appium is not None:
            self._appium.start()

    def install(self) -> None:
        """Run driver.command.install; where the target has none, install an APK by adb."""
        command = self._settings.install
        apk = self._apk()
        if apk is not None:
            self._package = self._package or self._find_package(apk, needed=command is None)
        if command is not None:
            self._auxiliary("install", command)
        elif self._adb is not None and apk is not None:
            seconds = float(self.context.target.timeouts.install_seconds)
            self._adb.install(named_like_one(apk), self._package, seconds=seconds, stop=self.stop)
        if self._appium is not None:
            self._appium.wait_ready(self.stop)

    def clear(self) -> None:
        """Run driver.command.clear; where the target has none, clear the app's data by adb."""
        command = self._settings.clear
        if command is not None:
            self._auxiliary("clear", command)
        elif self._adb is not None and self._package:
            self._clear_data(self._adb)

    def _clear_data(self, adb: Adb) -> None:
        try:
            adb.clear(self._package)
        except InfrastructureError as error:
            if error.device_lost or not adb.lacks(self._package):
                raise
            if self._settings.install is not None:
                self.context.log(f"{self._package} is not on {adb.name}: nothing to clear")
                return
            self.context.log(f"a test has removed {self._package} from {adb.name}: it is installed again")
            self.install()

    def _apk(self) -> Path | None:
        """The batch's app, where adb could install it."""
        path = self.context.app_path
        return path if self._adb is not None and path is not None and is_apk(path) else None

    def _find_package(self, apk: Path, *, needed: bool) -> str:
        """The app's package; empty where it can't be known and isn't `needed` for an install.

        Raises InfrastructureError, SubmitterError (AppInvalid) where it is.
        """
        try:
            if self._settings.app_package:
                return self._settings.app_package
            if shutil.which("aapt") is None:
                raise InfrastructureError(
                    f"the package of {apk.name} is not known, because this image has no aapt: set "
                    "driver.command.appPackage in the TestTarget, or put aapt into the image"
                )
            return identify(find_sdk_tool("aapt"), apk, package=None, activity=None).package
        except (InfrastructureError, SubmitterError) as error:
            if needed:
                raise
            if self._settings.clear is None:
                self.context.log(f"the app is not cleared between tests: {error.message}")
            return ""

    def run(self, test: TestRun) -> TestResult:
        """Run driver.command.test in the source's folder, and read its reports."""
        settings = self._settings
        require_test(test.source, test.test)
        if self._appium is not None:
            self._appium.wait_ready(test.stop)
        patterns = [*compile_patterns(settings.infrastructure_patterns), *self.own_patterns]
        marked: list[str] = []

        def on_line(line: str) -> None:
            self.context.log(line)
            if not marked and any(pattern.search(line) for pattern in patterns):
                marked.append(line.strip())

        # A test may print what it has met and coped with: these count where they are a failure's reason.
        appiums = PATTERNS if self._appium is not None else ()

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
        # With the whole batch stopped, no other test comes.
        if self._appium is not None and not self.stop.requested:
            self._appium.after(end)
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
            infrastructure_line=next(iter(marked), "") or marked_failure(summary, [*patterns, *appiums]),
        )
        if result.outcome != "passed" and self._adb is not None and (said := self._adb.probe()):
            raise self._adb.lost(said)
        return self._appium.judged(result, end) if self._appium is not None else result

    def close(self) -> None:
        """End Appium and the adb server."""
        if self._appium is not None:
            self._appium.close()
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
        """What a command needs to reach the device, whose adb server has it, and the app there."""
        own = {"QGJOB_APP_PACKAGE": self._package}
        if self._adb is not None:
            own["ANDROID_ADB_SERVER_PORT"] = str(self._adb.server_port)
        if self._appium is not None:
            own |= self._appium.variables
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
            limit = self.context.target.timeouts.install_seconds
            raise InfrastructureError(
                f"the {what} command took longer than {limit} s (the TestTarget's timeouts.installSeconds)"
            )
        if end.returncode != 0:
            if self._adb is not None and (said := self._adb.probe()):
                raise self._adb.lost(said)
            if what == "install" and culprit(refused := install_failure(end.tail)) == "app":
                raise SubmitterError("AppInvalid", f"no device like this one takes the app: {refused}")
            raise InfrastructureError(f"the {what} command ended with {describe(end)}")


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
