"""The `appwright` driver: unmodified AppWright tests on an Android device that adb reaches.

In BrowserStack's cloud another class does that: testrunner.browserstack.appwright.
"""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from qgjob.api.drivers import AppWrightSettings

from ..appwright import events, playwright
from ..appwright.appium import HUNG, Appium
from ..appwright.badging import AppIdentity, identify
from ..appwright.kit import Kit
from ..appwright.project import prepare_for_driver
from ..appwright.screenshots import collect_screenshots
from ..appwright.sdk import link_sdk
from ..browserstack.appwright import CloudAppWrightDriver
from ..devices.adb import Adb, find_sdk_tool
from ..devices.apk import named_like_one
from ..devices.monitor import DeviceMonitor
from ..devices.preflight import make_ready
from ..environment import base_environment
from ..process import run_process
from ..sources.lookup import require_source, require_test
from .base import BatchContext, Driver, InfrastructureError, Stopped, TestResult, TestRun

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qgjob.api.testtarget import TestTargetSpec

    from ..stop import StopToken


class AppWrightDriver(Driver):
    """One Appium per batch, one install, and one Playwright process per TestJob."""

    name: ClassVar[str] = "appwright"
    needs_app: ClassVar[bool] = True

    @classmethod
    def for_target(cls, target: TestTargetSpec) -> type[Driver]:
        """Another class where the device is in a cloud: no adb, no Appium of the runner's own."""
        return cls if target.provider.browserstack is None else CloudAppWrightDriver

    def __init__(self, context: BatchContext, stop: StopToken) -> None:
        super().__init__(context, stop)
        self._settings = context.target.driver.appwright or AppWrightSettings()
        if context.device is None:
            raise InfrastructureError(
                "driver appwright needs a device: set provider.devices in the TestTarget"
            )
        self._environment = base_environment(os.environ)
        self._kit = Kit.find(os.environ)
        self._adb = Adb(
            context.device.address, context.device.name, environment=self._environment, log=context.log
        )
        self._appium = Appium(self._kit, context.workdir)
        self._appium_started = False
        self._app: AppIdentity | None = None
        self._sdk: Path | None = None

    def prepare(self) -> None:
        """Connect the device and see that it can take a batch."""
        self._sdk = link_sdk(self.context.workdir)
        make_ready(self._adb, self.context.target, self.stop, self.context.log)

    def install(self) -> None:
        """Install the app, while Appium starts."""
        path = self._app_path()
        settings = self._settings
        self._app = app = identify(
            find_sdk_tool("aapt"), path, package=settings.app_package, activity=settings.app_activity
        )
        if not app.activity:
            raise InfrastructureError(
                f"{path.name} has no launchable activity: set driver.appwright.appActivity in the TestTarget"
            )
        if not self._appium_started:
            own = {"QGJOB_SCREENSHOTS": str(self._screenshots)} if self._keeps else {}
            self._appium.start(self._for_appwright(self._environment) | own)
            self._appium_started = True
        seconds = float(self.context.target.timeouts.install_seconds)
        self._adb.install(path, app.package, seconds=seconds, stop=self.stop)
        self._appium.wait_ready(self.stop)

    def clear(self) -> None:
        """Clear the app's data; install the app again where a test has removed it."""
        if self._app is None:
            return
        try:
            self._adb.clear(self._app.package)
        except InfrastructureError as error:
            if error.device_lost or not self._adb.lacks(self._app.package):
                raise
            where = f"{self._app.package} from {self._adb.name}"
            self.context.log(f"a test has removed {where}: it is installed again")
            self.install()

    def run(self, test: TestRun) -> TestResult:
        """Run one test file, unless the device is gone already."""
        require_source(test.source)
        require_test(test.source, test.test)
        if said := self._adb.probe():
            raise self._adb.lost(said)
        project = prepare_for_driver(
            test.source,
            config=self._settings.config,
            kit=self._kit,
            workdir=self.context.workdir,
        )
        self._appium.wait_ready(test.stop, self._adb)
        self.context.paths.add(project.folder)
        log, output = playwright.events_file(test), playwright.Output(self.context.log)
        with DeviceMonitor(self._adb.probe) as monitor, self._device_log(test.report_dir):
            end = run_process(
                playwright.command(self._kit, project, test, html=self._keeps),
                cwd=project.folder,
                env=self._for_appwright(test.env)
                | playwright.reports_environment(test, self._settings.project),
                timeout=test.timeout_seconds + playwright.OVERTIME_SECONDS,
                stop=test.stop,
                stop_signal=signal.SIGINT,
                grace=playwright.GRACE_SECONDS,
                on_line=output.line,
                masks=self.context.masks,
                watch=lambda: monitor.lost,
            )
        if self._keeps:
            collect_screenshots(self._screenshots, test.report_dir)
        # With the whole batch stopped, nobody waits for another.
        if (end.stopped or end.timed_out) and not self.stop.requested:
            self._appium.restart(self._adb)
        if end.stopped:
            raise Stopped(test.stop.reason)
        found = events.parse(log.read_text(errors="replace")) if log.exists() else []
        judge = partial(
            events.judge,
            found,
            end,
            timeout_seconds=test.timeout_seconds,
            output=output.beginning,
            readable=self.context.paths.text,
        )
        result = judge()
        if result.outcome != "passed" and (said := monitor.lost or self._adb.probe()):
            return judge(device_lost=self._adb.lost(said).message)
        if result.outcome == "failed" and not end.timed_out and not self._appium.answers():
            self._appium.restart(self._adb)
            return replace(result, outcome="infrastructure", message=f"{HUNG} ({result.message})")
        return result

    def close(self) -> None:
        """End Appium and the adb server."""
        self._appium.close()
        self._adb.close()

    @property
    def _keeps(self) -> bool:
        """Whether somebody will look at more than the result."""
        return self.context.target.artifacts is not None

    @property
    def _screenshots(self) -> Path:
        return self.context.workdir / "screenshots"

    def _device_log(self, folder: Path) -> AbstractContextManager[object]:
        return self._adb.log_into(folder) if self._keeps else nullcontext()

    def _for_appwright(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What Appium, Playwright and AppWright need to know; `environment` wins where it's a matter of taste."""
        app = self._app
        return {
            **playwright.taste(self.context.workdir),
            **environment,
            "PATH": f"{self._kit.shims}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "ANDROID_HOME": str(self._sdk or ""),
            "ANDROID_SERIAL": self._adb.address,
            "ANDROID_ADB_SERVER_PORT": str(self._adb.server_port),
            "QGJOB_APP_PATH": str(self.context.app_path or ""),
            "QGJOB_APP_PACKAGE": app.package if app else "",
            "QGJOB_APP_ACTIVITY": app.activity if app else "",
        }

    def _app_path(self) -> Path:
        if self.context.app_path is None:
            raise InfrastructureError("driver appwright needs an app: set app.url in the TestTarget")
        return named_like_one(self.context.app_path)
