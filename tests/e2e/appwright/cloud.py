"""A simulated BrowserStack as a process, and what the runner does with a driver there."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Self

from hack.phone import apps
from qgjob.api.testtarget import TestTargetSpec
from testrunner.drivers import driver_class
from testrunner.drivers.base import BatchContext, TestResult, TestRun
from testrunner.environment import run_environment
from testrunner.stop import StopToken
from tests.e2e.appwright.simulator import Simulator
from tests.e2e.appwright.support import SHOP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREDENTIALS = {"BROWSERSTACK_USERNAME": "team-user", "BROWSERSTACK_ACCESS_KEY": "team-access-key"}


class SimulatedCloud(Simulator):
    """`python -m hack.browserstack` on a free port."""

    def __init__(self, log: Path, *options: str) -> None:
        super().__init__(
            *("hack.browserstack", "--host", "127.0.0.1", "--port", "0"),
            *("--username", CREDENTIALS["BROWSERSTACK_USERNAME"]),
            *("--access-key", CREDENTIALS["BROWSERSTACK_ACCESS_KEY"]),
            *options,
            log=log,
        )

    def __enter__(self) -> Self:
        self.url = f"http://127.0.0.1:{self._start()['port']}"
        self._control = f"{self.url}/control"
        return self

    def others(self, running: int, queued: int = 0) -> None:
        self._post(f"/others?running={running}&queued={queued}", "")


class CloudBatch:
    """What the runner does with a driver, without the API: wait, install once, run tests."""

    def __init__(
        self,
        cloud: SimulatedCloud,
        version: str,
        workdir: Path,
        *,
        driver: Mapping[str, Any],
        custom_id: str | None = None,
        keeps_artifacts: bool = False,
        idle_seconds: int = 90,
    ) -> None:
        self.workdir = workdir
        self.source = workdir / "source"
        shutil.copytree(SHOP, self.source)
        self.lines: list[str] = []
        self.stop = StopToken()
        urls = dict.fromkeys(("apiUrl", "uploadUrl", "hubUrl"), cloud.url)
        own = {"customId": custom_id} if custom_id else {"url": "file:///apps/{appVersionId}.apk"}
        target = TestTargetSpec.model_validate(
            {
                "provider": {
                    "browserstack": {
                        "device": "Google Pixel 8",
                        "osVersion": "14.0",
                        "credentialsSecret": "browserstack-account",
                        "idleSeconds": idle_seconds,
                        **urls,
                    }
                },
                "driver": driver,
                "app": own,
                **({"artifacts": {"s3": {"bucket": "not-asked"}}} if keeps_artifacts else {}),
            }
        )
        self.context = BatchContext(
            namespace="default",
            batch=workdir.name,
            target=target,
            app_version_id=version,
            device=None,
            app_path=None if custom_id else self._package(version),
            workdir=workdir,
            sources=[self.source],
            log=self.lines.append,
        )
        self.driver = driver_class(target.driver.name).for_target(target)(self.context, self.stop)
        self._runs = 0

    def install(self) -> CloudBatch:
        self.driver.prepare()
        self.driver.await_capacity(self.stop)
        self.driver.install()
        return self

    def run(self, test: str, *, timeout: float = 60.0) -> TestResult:
        if self._runs:
            self.driver.clear()
        self._runs += 1
        self.test_stop = self.stop.child()
        self.driver.await_capacity(self.test_stop)
        reports = self.workdir / f"report-{self._runs}"
        reports.mkdir()
        environment = run_environment(
            os.environ,
            self.context,
            job="job",
            job_env={},
            test=test,
            run=1,
            failures=0,
            report_dir=reports,
        )
        return self.driver.run(
            TestRun(
                name="job",
                test=test,
                source=self.source,
                env=environment,
                timeout_seconds=timeout,
                attempt=1,
                run=1,
                failures=0,
                isolation="clear",
                report_dir=reports,
                stop=self.test_stop,
            )
        )

    def spec(self, name: str, text: str) -> str:
        """Adds a test file to the source."""
        (self.source / "tests" / name).write_text(text)
        return f"tests/{name}"

    def close(self) -> None:
        self.driver.close()

    def _package(self, version: str) -> Path:
        package = apps.package(version)
        assert package is not None, f"{version} is no version"
        path = self.workdir / "app" / f"{version}.apk"
        path.parent.mkdir()
        path.write_bytes(package)
        return path
