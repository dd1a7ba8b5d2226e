"""`make bench-batch`: how much of a batch's time is spent in tests, on a real node with one simulated phone.

    .venv/bin/python -m hack.bench.batch_efficiency [--tests 30] [--test-seconds 8] [--install-seconds 10] [DRIVER…]

All tests are of one app version, so they are one batch with one install. With driver `appwright` each is a real
AppWright test that uses the app for so long; with `command` each is a command that takes so long. A file of JSON goes
to stdout; messages go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from hack.bench.batch_timeline import TimelineError, figures, parse_log, unix
from hack.demonstration.phones import Phones
from hack.deployment import deploy
from hack.imagebuild.images import ROOT
from hack.localcluster.choice import Wish
from hack.localcluster.errors import ClusterError
from hack.localcluster.locks import exclusive
from hack.localcluster.places import cache_directory
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.deployment import Access
    from hack.imagebuild.images import Image

NAMESPACE: Final = "qgjob-bench-batch"
PHONE: Final = "phone-1"
VERSION: Final = "1.4.0"
SHOP: Final = ROOT / "manifests" / "samples" / "shop"
DRIVERS: Final = ("appwright", "command")
#: From the namespace's making until the tests run, on a slow machine, and again that much for their overhead.
SLACK_SECONDS: Final = 240.0
OVER: Final = frozenset({"Succeeded", "DeadLettered", "Cancelled"})

#: Uses the app until so many seconds have passed, and looks at what it shows.
APPWRIGHT_TEST: Final = """\
import { expect, test } from "appwright";

test("uses the shop for a while", async ({ device }) => {
  const end = Date.now() + %d;
  await device.getByText("Login").tap();
  while (Date.now() < end - 500) {
    await device.getById("open_settings").tap();
    await device.getByText("Home").tap();
    await new Promise((done) => setTimeout(done, 250));
  }
  await new Promise((done) => setTimeout(done, end - Date.now()));
  expect(await device.getByText("Signed in as").getText()).toBe("Signed in as guest");
});
"""
COMMAND_TEST: Final = """\
sleep %g
echo '<testsuite><testcase name="waits"/></testsuite>' > "$QGJOB_REPORT_DIR/report.xml"
"""


@dataclass(frozen=True)
class Load:
    """What is measured."""

    tests: int
    test_seconds: float
    install_seconds: float


@dataclass(frozen=True)
class Bench:
    """A namespace with one phone, whose batches are measured."""

    access: Access
    images: Sequence[Image]
    load: Load
    report: Report

    def run(self, driver: str) -> dict[str, Any]:
        """Measure one batch, on a phone fresh from the box. Raises ClusterError, TimelineError."""
        self.access.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=300)
        self.access.run("create", "namespace", NAMESPACE)
        phones = Phones.install(self.access, NAMESPACE, self.images)
        self._slow_down_the_phone()
        phones.wait_until_ready()
        target = self._target(driver)
        self._kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(target))
        before = os.getloadavg()[0]
        self._submit(driver)
        # Not before all are there: the first batch takes what there is.
        self._kubectl("patch", "testtarget", "bench", "--type=merge", '--patch={"spec":{"parallelism":1}}')
        jobs = self._wait(driver)
        if wrong := [job["metadata"]["name"] for job in jobs if job["status"]["phase"] != "Succeeded"]:
            raise ClusterError(f"did not pass, so nothing is measured: {', '.join(wrong)}")
        pods = {job["status"]["pod"] for job in jobs}
        if len(pods) != 1:
            raise ClusterError(f"the tests ran in {len(pods)} batches instead of one")
        [name] = pods
        pod = json.loads(self._kubectl("get", "pod", name, "--output=json"))
        log = self._kubectl("logs", name, "--timestamps", "--container=runner")
        journal = phones.events(PHONE)
        return {
            "driver": driver,
            "testSeconds": self.load.test_seconds,
            "installSeconds": self.load.install_seconds,
            "loadBefore": round(before, 2),
            **figures(
                pod_created=unix(pod["metadata"]["creationTimestamp"]),
                lines=parse_log(log),
                attempts=[attempt for job in jobs for attempt in job["status"]["attempts"]],
                journal=journal,
                test_seconds=self.load.test_seconds,
            ),
            "installs": phones.installs(),
        }

    def _slow_down_the_phone(self) -> None:
        change = [
            {
                "op": "add",
                "path": "/spec/template/spec/containers/0/args/-",
                "value": f"--install-seconds={self.load.install_seconds:g}",
            }
        ]
        self._kubectl("patch", f"deployment/{PHONE}", "--type=json", f"--patch={json.dumps(change)}")

    def _target(self, driver: str) -> dict[str, Any]:
        """The phones' own target, with one phone and room for all tests in one batch."""
        found: dict[str, Any] = json.loads(self._kubectl("get", "testtarget", "phones", "--output=json"))
        spec = found["spec"]
        spec["provider"]["devices"] = [each for each in spec["provider"]["devices"] if each["name"] == PHONE]
        spec["parallelism"] = 0
        spec["batch"] = {"maxTests": self.load.tests}
        if driver == "command":
            # The image that has adb.
            spec["image"] = next(each.reference for each in self.images if each.name == "runner-appwright")
            install = 'adb -s "$ANDROID_SERIAL" install -r -g "$QGJOB_APP_PATH"'
            clear = 'adb -s "$ANDROID_SERIAL" shell pm clear org.example.shop'
            spec["driver"] = {
                "name": "command",
                "command": {
                    "install": ["sh", "-c", install],
                    "clear": ["sh", "-c", clear],
                    "test": ["sh", "-c", COMMAND_TEST % self.load.test_seconds],
                },
            }
        return {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {"name": "bench", "namespace": NAMESPACE},
            "spec": spec,
        }

    def _submit(self, driver: str) -> None:
        with tempfile.TemporaryDirectory(prefix="qgjob-bench-") as folder:
            source = Path(folder) / "shop"
            shutil.copytree(SHOP, source, ignore=shutil.ignore_patterns("node_modules", "tests"))
            (source / "tests").mkdir()
            names = [f"tests/long-{number:03}.spec.ts" for number in range(self.load.tests)]
            for name in names:
                (source / name).write_text(APPWRIGHT_TEST % round(self.load.test_seconds * 1000))
            words = ["submit", "--org-id=bench", f"--app-version-id={VERSION}", "--target=bench"]
            words += [f"--source-dir={source}", "--max-retries=0", *(f"--test={name}" for name in names)]
            done = subprocess.run(
                [Path(sys.executable).with_name("qgjob"), "--namespace", NAMESPACE, *words],
                env={**os.environ, "KUBECONFIG": str(self.access.kubeconfig)},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise ClusterError(f"`qgjob submit` failed: {done.stderr.strip()}")
        self.report.say(f"{driver}: {self.load.tests} tests are submitted")

    def _wait(self, driver: str) -> list[Any]:
        """The TestJobs, once all are over and so is their pod."""
        deadline = time.monotonic() + 2 * self.load.tests * self.load.test_seconds + SLACK_SECONDS
        while True:
            jobs: list[Any] = json.loads(self._kubectl("get", "testjobs", "--output=json"))["items"]
            over = sum(job["status"]["phase"] in OVER for job in jobs)
            self.report.progress(f"{driver}: {over} of {self.load.tests} tests are over")
            if over == self.load.tests and self._pods_are_over():
                return jobs
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"not every test was over in time: `hack/cluster kubectl get tj,tb,pods -n {NAMESPACE}`"
                )
            time.sleep(1.0)

    def _pods_are_over(self) -> bool:
        running = self._kubectl(
            "get",
            "pods",
            "--selector=qgjob.dev/batch",
            "--field-selector=status.phase=Running",
            "--output=name",
        )
        return not running.strip()

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.access.run(*arguments, "--namespace", NAMESPACE, stdin=stdin)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="hack.bench.batch_efficiency", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "drivers", nargs="*", metavar="DRIVER", help=f"of {', '.join(DRIVERS)}; both otherwise"
    )
    parser.add_argument("--tests", type=int, default=30)
    parser.add_argument("--test-seconds", type=float, default=8.0)
    parser.add_argument("--install-seconds", type=float, default=10.0)
    options = parser.parse_args()
    if unknown := set(options.drivers) - set(DRIVERS):
        parser.error(f"no driver {', '.join(sorted(unknown))}: choose of {', '.join(DRIVERS)}")
    load = Load(options.tests, options.test_seconds, options.install_seconds)
    report = Report()
    try:
        with exclusive(cache_directory() / "bench-batch.lock", report, doing="measuring a batch"):
            access, images = deploy(report, Wish.of(None, None, None), extra_images=("phone",))
            bench = Bench(access, images, load, report)
            results = [bench.run(driver) for driver in options.drivers or DRIVERS]
    except (ClusterError, TimelineError) as error:
        report.say(f"hack.bench.batch_efficiency: {error}")
        return 1
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
