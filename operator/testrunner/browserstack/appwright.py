"""The `appwright` driver on BrowserStack: Playwright here, Appium and the device there."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

from qgjob.api.drivers import AppWrightSettings

from ..appwright import events, playwright
from ..appwright.kit import Kit
from ..appwright.project import prepare_for_driver
from ..drivers.base import (
    BatchContext,
    Driver,
    InfrastructureError,
    NoCapacityError,
    Stopped,
    TestResult,
    TestRun,
)
from ..process import run_process
from ..removal import remove
from ..sources.lookup import require_source, require_test
from .cloud import Cloud
from .texts import QUEUE_FULL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stop import StopToken

#: AppWright waits for a video and fetches it; where artifacts are kept it gets so long, else it is not asked to.
VIDEO_SECONDS: Final = 40.0


class CloudAppWrightDriver(Driver):
    """One upload per app version, one Playwright process per TestJob, one session per test case."""

    name: ClassVar[str] = "appwright"
    # app.customId is at BrowserStack already.
    needs_app: ClassVar[bool] = False

    def __init__(self, context: BatchContext, stop: StopToken) -> None:
        super().__init__(context, stop)
        if context.target.app is None:
            raise InfrastructureError(
                "driver appwright needs an app: set app.url or app.customId in the TestTarget"
            )
        self._settings = context.target.driver.appwright or AppWrightSettings()
        self._kit = Kit.find(os.environ)
        self._cloud = Cloud(context, os.environ)

    def await_capacity(self, stop: StopToken) -> None:
        """Wait for a free session of the plan."""
        self._cloud.await_capacity(stop, self._tell)

    def install(self) -> None:
        """Have the app at BrowserStack: every session installs it afresh, `clear` and `reinstall` alike."""
        self._cloud.put_app(self.stop)

    def run(self, test: TestRun) -> TestResult:
        """Run one test file."""
        require_source(test.source)
        require_test(test.source, test.test)
        project = prepare_for_driver(
            test.source,
            config=self._settings.config,
            kit=self._kit,
            workdir=self.context.workdir,
            adapter="on-browserstack",
        )
        self.context.paths.add(project.folder)
        log, output = playwright.events_file(test), playwright.Output(self.context.log)
        # It is there where the test had to begin again.
        log.unlink(missing_ok=True)
        # Once more where BrowserStack has deleted it meanwhile.
        self._cloud.put_app(test.stop)
        mark = self._cloud.mark()
        try:
            end = run_process(
                playwright.command(self._kit, project, test, html=self._keeps),
                cwd=project.folder,
                env=self._environment(test),
                timeout=test.timeout_seconds + playwright.OVERTIME_SECONDS + self._video_seconds,
                stop=test.stop,
                stop_signal=signal.SIGINT,
                grace=playwright.GRACE_SECONDS,
                on_line=output.line,
                masks=self.context.masks,
            )
        finally:
            # Where seconds count, `close` does it, when results are safe.
            if not test.stop.at_once:
                self._cloud.close_sessions(test.stop.reason or "the test left it open", since=mark)
        # Playwright has copied each video to its test case.
        with suppress(OSError):
            remove(test.report_dir / "artifacts" / "videos-store")
        if end.stopped:
            raise Stopped(test.stop.reason)
        found = events.parse(log.read_text(errors="replace")) if log.exists() else []
        judged = events.judge(
            found,
            end,
            timeout_seconds=test.timeout_seconds,
            output=output.beginning,
            readable=self.context.paths.text,
        )
        result = self._cloud.settled(judged, mark)
        if result.reason == QUEUE_FULL:
            self._cloud.refused()
            raise NoCapacityError(result.message, reason=QUEUE_FULL)
        return result

    def close(self) -> None:
        """End the sessions that are left open."""
        self._cloud.close_sessions(self.stop.reason or "the batch is over")

    def _tell(self, what: str) -> None:
        self.waiting_for = what

    @property
    def _keeps(self) -> bool:
        """Whether somebody will look at more than the result."""
        return self.context.target.artifacts is not None

    @property
    def _video_seconds(self) -> float:
        return VIDEO_SECONDS if self._keeps else 0.0

    def _environment(self, test: TestRun) -> Mapping[str, str]:
        path = test.env.get("PATH", os.defpath)
        return {
            **playwright.taste(self.context.workdir),
            **test.env,
            "PATH": f"{self._kit.shims}{os.pathsep}{path}",
            **playwright.reports_environment(test, self._settings.project),
            **self._cloud.environment(),
            "QGJOB_BROWSERSTACK_VIDEO_SECONDS": f"{self._video_seconds:g}",
        }
