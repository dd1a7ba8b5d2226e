"""The demo: what it submits, what must become of it, and the figures at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.demonstration.phones import Phones
from hack.deployment import Access, deploy
from hack.imagebuild.images import ROOT, Image
from hack.localcluster.choice import Wish
from hack.localcluster.errors import ClusterError
from hack.localcluster.report import Report

NAMESPACE = "qgjob-demo"
SAMPLES = ROOT / "manifests" / "samples"
PATIENCE_SECONDS = 420.0
QGJOB = Path(sys.executable).parent / "qgjob"


@dataclass(frozen=True)
class Submission:
    """One TestJob of the demo, and how it must end."""

    test: str
    version: str
    priority: int = 5
    ends: str = "Succeeded"
    failures: int = 0
    retries: int = 2

    @property
    def job(self) -> str:
        """Its job id."""
        stem = Path(self.test).name.split(".", 1)[0]
        return f"{stem}-{self.version.replace('.', '-')}-p{self.priority}"


SUBMISSIONS = (
    *(
        Submission(f"tests/{name}.spec.ts", version, priority)
        for version, priority in (("1.4.0", 3), ("1.5.0", 5))
        for name in ("login", "basket", "checkout", "search", "version")
    ),
    Submission("tests/flaky.spec.ts", "1.4.0", 4, failures=1),
    Submission("tests/broken.spec.ts", "1.5.0", 4, ends="DeadLettered", failures=2, retries=1),
)
#: Submitted last, when both phones are at work: it must not wait for those that came before it.
URGENT = Submission("tests/settings.spec.ts", "1.6.0", 10)


class Demo:
    """One run against a cluster that has the operator."""

    phones: Phones

    def __init__(self, access: Access, images: list[Image]) -> None:
        self._access = access
        self._images = images
        self._seen: dict[str, str] = {}

    def set_up(self) -> None:
        """Phones, shop and their TestTarget, in a namespace of their own that starts empty."""
        say("two simulated phones and a shop of app versions, in namespace " + NAMESPACE)
        self._access.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=180)
        self._access.run("create", "namespace", NAMESPACE)
        self.phones = Phones.install(self._access, NAMESPACE, self._images)

    def submit(self, submission: Submission) -> None:
        """As a person would: by the command line."""
        command = [
            *(QGJOB, "submit", "--org-id", "demo", "--app-version-id", submission.version),
            *("--target", "phones", "--test", submission.test, "--source-dir", SAMPLES / "shop"),
            *("--priority", str(submission.priority), "--max-retries", str(submission.retries)),
            *("--job-id", submission.job, "--namespace", NAMESPACE, "--output", "json"),
        ]
        environment = {**os.environ, "KUBECONFIG": str(self._access.kubeconfig)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"qgjob submit failed: {done.stderr.strip()}")

    def wait(self) -> dict[str, dict[str, Any]]:
        """Show what changes until everything has ended; return the TestJobs by name."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            jobs = self.jobs()
            for name, job in jobs.items():
                self._tell(name, job["status"])
            if all(
                job["status"]["phase"] in {"Succeeded", "DeadLettered", "Cancelled"} for job in jobs.values()
            ):
                return jobs
            if time.monotonic() > deadline:
                raise ClusterError(
                    "the demo's tests did not end in time; see `kubectl get tj,tb,tt -n qgjob-demo`"
                )
            time.sleep(1)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The TestJobs by name."""
        found = json.loads(self._kubectl("get", "testjobs", "--output", "json"))
        return {item["metadata"]["name"]: item for item in found["items"]}

    def batches(self) -> list[dict[str, Any]]:
        """The TestBatches."""
        items: list[dict[str, Any]] = json.loads(self._kubectl("get", "testbatches", "--output", "json"))[
            "items"
        ]
        return items

    def _tell(self, name: str, status: dict[str, Any]) -> None:
        text = status["phase"]
        if status["phase"] == "Running":
            text += f" (attempt {status['attempt']}, {status['batch']})"
        elif status.get("reason") and status["phase"] != "Succeeded":
            text += f" ({status['reason']})"
        if self._seen.get(name) != text:
            self._seen[name] = text
            say(f"  {name:24} {text}")

    def _kubectl(self, *arguments: str) -> str:
        return self._access.run("--namespace", NAMESPACE, *arguments)


def verdict(demo: Demo, jobs: dict[str, dict[str, Any]]) -> list[str]:
    """What did not come out as expected; prints the table and the figures."""
    wrong = []
    say("")
    say(f"{'TESTJOB':24} {'PHASE':13} {'RUNS':>4} {'FAILED':>6}  BATCH OF THE LAST RUN")
    for each in (*SUBMISSIONS, URGENT):
        status = jobs[each.job]["status"]
        say(
            f"{each.job:24} {status['phase']:13} {len(status['attempts']):4} {status['failures']:6}  {status['batch']}"
        )
        if (status["phase"], status["failures"]) != (each.ends, each.failures):
            wrong.append(f"{each.job} should be {each.ends} after {each.failures} failures")
        if status["infrastructureFailures"]:
            wrong.append(f"{each.job} met an infrastructure failure: {status['message']}")
    first_start = {name: job["status"]["attempts"][0].get("startTime", "") for name, job in jobs.items()}
    later = [name for name, start in first_start.items() if start > first_start[URGENT.job]]
    if not later:
        wrong.append(f"{URGENT.job} overtook nobody")
    batches = demo.batches()
    installs, overlaps = demo.phones.installs(), demo.phones.overlaps()
    runs = sum(len(job["status"]["attempts"]) for job in jobs.values())
    install_seconds = [batch["status"].get("installSeconds") or 0.0 for batch in batches]
    saved = (runs - installs) * sum(install_seconds) / max(len(install_seconds), 1)
    say("")
    say(f"tests                  {len(jobs)} TestJobs, {runs} runs")
    say(f"batches                {len(batches)}")
    say(f"installs               {installs}, counted by the phones")
    say(
        f"install seconds saved  {saved:.1f}, at {sum(install_seconds) / max(len(install_seconds), 1):.1f} s each"
    )
    say(f"overtaken              {len(later)} TestJobs, by the one of priority 10 that came last")
    say(f"two tests at once      {overlaps} times on one phone")
    if installs != len(batches):
        wrong.append(f"{len(batches)} batches should have made {len(batches)} installs, not {installs}")
    if overlaps:
        wrong.append("a phone had two tests at once")
    return wrong


def say(text: str) -> None:
    """A line for the person who watches."""
    print(text, flush=True)


def main() -> int:
    """Run it; 0 only when every outcome was the expected one."""
    started = time.monotonic()
    report = Report()
    try:
        access, images = deploy(report, Wish.of(None, None, None), extra_images=("phone",))
        demo = Demo(access, images)
        demo.set_up()
        say(f"{len(SUBMISSIONS) + 1} TestJobs over 3 app versions, several priorities")
        for submission in SUBMISSIONS:
            demo.submit(submission)
        demo.submit(URGENT)
        wrong = verdict(demo, demo.wait())
    except ClusterError as error:
        print(f"hack/demo: {error}", file=sys.stderr)
        return 1
    say("")
    for each in wrong:
        say(f"NOT AS EXPECTED: {each}")
    say(f"took {time.monotonic() - started:.0f} s. To look further:")
    say(f"  export KUBECONFIG={access.kubeconfig}")
    say(f"  hack/cluster kubectl get tj,tb,tt -n {NAMESPACE}")
    say(f"  .venv/bin/qgjob -n {NAMESPACE} list; .venv/bin/qgjob -n {NAMESPACE} logs {URGENT.job}")
    say(f"  .venv/bin/qgjob -n {NAMESPACE} dlq list")
    say("  make cluster-down   # when you have seen enough")
    return 1 if wrong else 0
