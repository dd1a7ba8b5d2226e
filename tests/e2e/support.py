"""What a person does with the queue of one namespace: `qgjob`, kubectl, and waiting for what must come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.imagebuild.images import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hack.deployment import Access

SAMPLES = ROOT / "manifests" / "samples"
SHOP = SAMPLES / "shop"
PATIENCE_SECONDS = 120.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Queue:
    """A namespace, seen through the programs that people use."""

    access: Access
    namespace: str

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl in the namespace. Raises ClusterError with its last words when it fails."""
        return self.access.run(*arguments, "--namespace", self.namespace, stdin=stdin)

    def kubectl_done(
        self, *arguments: str | Path, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace, whatever comes of it."""
        argv = [self.access.kubectl, *arguments, "--namespace", self.namespace]
        return self._run([str(word) for word in argv], stdin=stdin)

    def qgjob(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command line tool in the namespace, whatever comes of it."""
        program = Path(sys.executable).with_name("qgjob")
        return self._run([str(program), "--namespace", self.namespace, *map(str, arguments)])

    def start_qgjob(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start it and return at once."""
        program = Path(sys.executable).with_name("qgjob")
        return subprocess.Popen(
            [program, "--namespace", self.namespace, *map(str, arguments)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def target(self, sample: str, name: str = "") -> str:
        """Create the TestTarget of a sample's file; return its name."""
        self.kubectl("apply", "--filename", SAMPLES / sample)
        return name or sample.removesuffix("-target.yaml")

    def apply_target(self, name: str, spec: Object) -> None:
        """Create a TestTarget."""
        body = {
            "apiVersion": "qgjob.dev/v1alpha1",
            "kind": "TestTarget",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.kubectl("apply", "--filename", "-", stdin=json.dumps(body))

    def secret(self, name: str, **values: str) -> None:
        """Create a Secret."""
        words = [f"--from-literal={key}={value}" for key, value in values.items()]
        self.kubectl("create", "secret", "generic", name, *words)

    def pod_of(self, job: Object) -> Object:
        """Return the pod that a TestJob ran in last."""
        found: Object = json.loads(self.kubectl("get", "pod", job["status"]["pod"], "--output=json"))
        return found

    def set_parallelism(self, target: str, slots: int) -> None:
        """Set it, and wait until the operator says so (where it was something else before)."""
        patch = json.dumps({"spec": {"parallelism": slots}})
        self.kubectl("patch", "testtarget", target, "--type=merge", f"--patch={patch}")

        def seen() -> bool:
            found = json.loads(self.kubectl("get", "testtarget", target, "--output=json"))
            return bool((found.get("status") or {}).get("slots", -1) == slots)

        eventually(seen, f"target {target} has {slots} slots", self.explain)

    def submit(
        self, target: str, *tests: str, version: str = "1.0.0", **options: str | int | Path
    ) -> list[str]:
        """Submit tests as `qgjob submit` does; return their job ids. Options: `max_retries=0`."""
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        words += [f"--test={test}" for test in tests]
        done = self.qgjob(
            "submit",
            "--org-id=e2e",
            f"--app-version-id={version}",
            f"--target={target}",
            "--output=json",
            *words,
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return [each["job_id"] for each in (answer if isinstance(answer, list) else [answer])]

    def jobs(self) -> list[Object]:
        """Return the namespace's TestJobs."""
        return self._list("testjobs")

    def batches(self) -> list[Object]:
        """Return the namespace's TestBatches."""
        return self._list("testbatches")

    def job(self, name: str) -> Object:
        """Return one TestJob."""
        found: Object = json.loads(self.kubectl("get", "testjob", name, "--output", "json"))
        return found

    def phase(self, name: str) -> str:
        """Return a TestJob's phase."""
        return str(self.job(name)["status"]["phase"])

    def wait_for_phase(self, name: str, *phases: str, seconds: float = PATIENCE_SECONDS) -> Object:
        """Wait until a TestJob is in one of the phases; return it."""
        eventually(
            lambda: self.phase(name) in phases, f"{name} is {' or '.join(phases)}", self.explain, seconds
        )
        return self.job(name)

    def wait_until_over(self, *names: str, seconds: float = PATIENCE_SECONDS) -> list[Object]:
        """Wait until TestJobs have ended for good; return them in that order."""
        for name in names:
            self.wait_for_phase(name, "Succeeded", "DeadLettered", "Cancelled", seconds=seconds)
        return [self.job(name) for name in names]

    def wait_for_free_devices(self, target: str) -> None:
        """Wait until no batch has a device of the target."""

        def free() -> bool:
            found = json.loads(self.kubectl("get", "testtarget", target, "--output", "json"))
            return {device["state"] for device in found["status"]["devices"]} == {"Free"}

        eventually(free, f"the devices of {target} are free", self.explain)

    def explain(self) -> str:
        """Return what a failed test should show."""
        return self.kubectl("get", "testjobs,testbatches,testtargets,pods", "--output", "wide")

    def _list(self, plural: str) -> list[Object]:
        found: list[Object] = json.loads(self.kubectl("get", plural, "--output", "json"))["items"]
        return found

    def _run(self, argv: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            env=self._environment(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        folders = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, "KUBECONFIG": str(self.access.kubeconfig), "PATH": folders}


@contextmanager
def fresh_namespace(access: Access) -> Iterator[str]:
    """Give the name of a namespace that nobody else uses, and remove it afterwards."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    access.run("create", "namespace", name)
    yield name
    access.run("delete", "namespace", name, "--wait=false")


def eventually(
    holds: Callable[[], bool], what: str, explain: Callable[[], str] = str, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until something holds; fail with `what` and an explanation when it does not in time."""
    for _ in _ticks(seconds):
        if holds():
            return
    raise AssertionError(f"not so within {seconds:g} s: {what}\n{explain()}")


def _ticks(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.2)
    yield
