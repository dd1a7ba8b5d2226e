"""A simulated phone as a process, and a driver that runs one batch on it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Self

from hack.phone import apps
from qgjob.api.testbatch import BatchDevice
from qgjob.api.testtarget import TestTargetSpec
from testrunner.drivers import driver_class
from testrunner.drivers.base import BatchContext, TestResult, TestRun
from testrunner.environment import run_environment
from testrunner.isolation import Isolation
from testrunner.stop import StopToken
from tests.e2e.appwright.simulator import REPOSITORY, Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHOP = REPOSITORY / "manifests" / "samples" / "shop"


class SimulatedPhone(Simulator):
    """`python -m hack.phone serve` on free ports."""

    def __init__(self, log: Path) -> None:
        super().__init__(
            "hack.phone", "serve", "--host", "127.0.0.1", "--port", "0", "--control-port", "0", log=log
        )

    def __enter__(self) -> Self:
        boot = self._start()
        self.address = f"127.0.0.1:{boot['port']}"
        self._control = f"http://127.0.0.1:{boot['control_port']}"
        return self

    def installs(self, package: str = "org.example.shop") -> int:
        return int(self.state()["installs"].get(package, 0))


class Batch:
    """What the runner does with a driver, without the API: prepare, install once, run tests."""

    def __init__(
        self,
        phone: SimulatedPhone,
        version: str,
        workdir: Path,
        *,
        install_seconds: int,
        keeps_artifacts: bool = False,
        driver: Mapping[str, Any] | None = None,
        source: Path = SHOP,
    ) -> None:
        self.workdir = workdir
        self.source = workdir / "source"
        shutil.copytree(source, self.source)
        app = workdir / "app" / f"{version}.apk"
        app.parent.mkdir()
        package = apps.package(version)
        assert package is not None, f"{version} is no version"
        app.write_bytes(package)
        self.lines: list[str] = []
        self.stop = StopToken()
        target = TestTargetSpec.model_validate(
            {
                "provider": {"devices": [{"name": "phone-1", "address": phone.address}]},
                "driver": driver or {"name": "appwright"},
                "app": {"url": "file:///apps/{appVersionId}.apk"},
                "timeouts": {"installSeconds": install_seconds},
                **({"artifacts": {"s3": {"bucket": "not-asked"}}} if keeps_artifacts else {}),
            }
        )
        self.context = BatchContext(
            namespace="default",
            batch="tb-test",
            target=target,
            app_version_id=version,
            device=BatchDevice(name="phone-1", address=phone.address),
            app_path=app,
            workdir=workdir,
            sources=[self.source],
            log=self.lines.append,
        )
        self.driver = driver_class(target.driver.name)(self.context, self.stop)
        self._isolation = Isolation(workdir, self.lines.append)
        self._runs = 0

    def install(self) -> Batch:
        self.driver.prepare()
        self.driver.install()
        return self

    def run(
        self, test: str, *, timeout: float = 60.0, failures: int = 0, source: Path | None = None
    ) -> TestResult:
        if self._runs:
            self.driver.clear()
        self._runs += 1
        self._test_stop = self.stop.child()
        self.reports = reports = self.workdir / f"report-{self._runs}"
        reports.mkdir()
        environment = run_environment(
            os.environ,
            self.context,
            job="job",
            job_env={},
            test=test,
            run=failures + 1,
            failures=failures,
            report_dir=reports,
        )
        folder = source or self.source
        with self._isolation.around(folder) as own:
            return self.driver.run(
                TestRun(
                    name="job",
                    test=test,
                    source=folder,
                    env=environment | own,
                    timeout_seconds=timeout,
                    attempt=1,
                    run=failures + 1,
                    failures=failures,
                    isolation="clear",
                    report_dir=reports,
                    stop=self._test_stop,
                )
            )

    def stop_test(self, reason: str) -> None:
        """As the runner does when a TestJob is cancelled."""
        self._test_stop.request(reason)

    def spec(self, name: str, text: str) -> str:
        """Adds a test file to the source."""
        (self.source / "tests" / name).write_text(text)
        return f"tests/{name}"

    def close(self) -> None:
        self.driver.close()
