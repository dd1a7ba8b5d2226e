"""The demo from its beginning to its end."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.demonstration.phones import Phones
from hack.demonstration.plan import ALL, FIRST, ORGANISATION, TARGET, URGENT
from hack.demonstration.screen import Screen
from hack.demonstration.verdict import figures, what_is_wrong
from hack.deployment import deploy
from hack.imagebuild.images import ROOT
from hack.localcluster.choice import Wish
from hack.localcluster.errors import ClusterError
from hack.localcluster.locks import exclusive
from hack.localcluster.places import cache_directory
from hack.localcluster.report import Report, format_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.demonstration.plan import Case
    from hack.deployment import Access

NAMESPACE = "qgjob-demo"
SOURCE = Path("manifests/samples/shop")
PATIENCE_SECONDS = 420.0
LOOK_SECONDS = 0.5
QGJOB = Path(sys.executable).with_name("qgjob")
OVER = frozenset({"Succeeded", "DeadLettered", "Cancelled"})


@dataclass(frozen=True)
class Line:
    """The queue in the demo's namespace, as a person sees it."""

    access: Access

    def empty(self) -> None:
        """Begin with an empty namespace, whatever an earlier run left."""
        self.access.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=240)
        self.access.run("create", "namespace", NAMESPACE)

    def submit(self, cases: Sequence[Case], screen: Screen) -> None:
        """Submit the tests that share everything else by one command, and show it."""
        first = cases[0]
        words = ["submit", "--org-id", ORGANISATION, "--app-version-id", first.version, "--target", TARGET]
        words += ["--priority", str(first.priority), "--max-retries", str(first.max_retries)]
        words += ["--source-dir", str(SOURCE), *(word for each in cases for word in ("--test", each.test))]
        screen.say(f"$ qgjob {shlex.join(words)}")
        done = subprocess.run(
            [QGJOB, "--namespace", NAMESPACE, "--output", "json", *words],
            env={**os.environ, "KUBECONFIG": str(self.access.kubeconfig)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"`qgjob submit` failed: {done.stderr.strip()}")

    def jobs(self) -> dict[Case, Any]:
        """The TestJobs."""
        by_content = {
            (job["spec"]["test"], job["spec"]["appVersionId"]): job for job in self._list("testjobs")
        }
        return {each: by_content[key] for each in ALL if (key := (each.test, each.version)) in by_content}

    def batches(self) -> list[Any]:
        """The TestBatches."""
        return self._list("testbatches")

    def _list(self, plural: str) -> list[Any]:
        text = self.access.run("get", plural, "--namespace", NAMESPACE, "--output", "json")
        found: list[Any] = json.loads(text)["items"]
        return found


def main() -> int:
    """Run the demo; 0 only when everything came out as it must."""
    report = Report()
    try:
        with exclusive(cache_directory() / "demo.lock", report, doing="running the demo"):
            return _run(report)
    except ClusterError as error:
        report.say(f"hack/demo: {error}")
        return 1
    except KeyboardInterrupt:
        report.say(f"hack/demo: interrupted; what it has made is in namespace {NAMESPACE}")
        return 130


def _run(report: Report) -> int:
    started = time.monotonic()
    screen = Screen(ALL)
    screen.say("A cluster, qgjob's images, and its operator:")
    access, images = deploy(report, Wish.of(None, None, None), extra_images=("phone",))
    line = Line(access)
    screen.say(f"\nTwo simulated phones and an app server, in namespace {NAMESPACE}:")
    line.empty()
    phones = Phones.install(access, NAMESPACE, images)
    screen.say("  ready; adb, Appium and AppWright are real, the phones are not")

    screen.say(f"\n{len(ALL)} tests over two app versions, for two phones:")
    for _, same in itertools.groupby(FIRST, key=lambda each: (each.version, each.priority, each.max_retries)):
        line.submit(list(same), screen)
    line.submit([URGENT], screen)
    waiting = [
        case for case, job in line.jobs().items() if job["status"]["phase"] == "Pending" and case != URGENT
    ]
    _watch(line, screen)

    jobs, batches = line.jobs(), line.batches()
    installs, overlaps = phones.installs(), phones.overlaps()
    found = figures(jobs, batches, installs=installs, overlaps=overlaps, overtaken=len(waiting))
    wrong = what_is_wrong(jobs, batches, urgent=URGENT, waiting=waiting, installs=installs, overlaps=overlaps)
    screen.conclude(jobs, batches, found)
    for each in wrong:
        screen.say(f"NOT AS IT SHOULD BE: {each}")
    _say_how_to_go_on(screen, access, jobs)
    outcome = "NOT everything came out as it should" if wrong else "Everything came out as it should"
    screen.say(f"\n{outcome}, after {format_seconds(time.monotonic() - started)}.")
    return 1 if wrong else 0


def _watch(line: Line, screen: Screen) -> None:
    """Show what happens until every TestJob has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    screen.say()
    with screen:
        while True:
            jobs = line.jobs()
            screen.show(jobs, line.batches())
            if len(jobs) == len(ALL) and all(job["status"]["phase"] in OVER for job in jobs.values()):
                return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"not every test ended within {PATIENCE_SECONDS:.0f} s: "
                    f"see `hack/cluster kubectl get tj,tb,tt,pods -n {NAMESPACE}`"
                )
            time.sleep(LOOK_SECONDS)


def _say_how_to_go_on(screen: Screen, access: Access, jobs: dict[Case, Any]) -> None:
    dead = next((job["metadata"]["name"] for case, job in jobs.items() if case.phase == "DeadLettered"), "")
    screen.say("\nThe cluster goes on running. To look further:")
    for command, what in (
        (f"export KUBECONFIG={access.kubeconfig}", ""),
        (f"hack/cluster kubectl get tj,tb,tt -n {NAMESPACE}", "all that there is"),
        (f".venv/bin/qgjob -n {NAMESPACE} dlq list", "the dead letter, and"),
        (f".venv/bin/qgjob -n {NAMESPACE} logs {dead}", "what its test printed"),
        (f"hack/cluster kubectl logs -n {NAMESPACE} deployment/phone-1", "what a phone saw"),
        ("make cluster-down", "takes everything down"),
    ):
        screen.say(f"  {command:76}{'# ' + what if what else ''}".rstrip())
