"""What the tests of the runner share: a namespace with a target and TestJobs, and runners as processes.

The operator is played by `World`: it creates a batch and claims its TestJobs by the same lifecycle functions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import API_VERSION, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from qgjob.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

Object = dict[str, Any]

#: Fast enough for a test, slow enough for a machine that is busy with others.
PATIENCE_SECONDS = 60.0


class World:
    """One namespace, as the operator sees it."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self.client = Client.from_kubeconfig(str(kubeconfig), namespace=namespace)
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.folder = folder
        self._batches = 0

    def target(self, name: str = "sim", **spec: Any) -> Object:
        """Create a TestTarget; by default a simulated one that needs no time at all."""
        spec.setdefault("provider", {"none": {}})
        spec.setdefault("driver", simulate())
        return self._create(TEST_TARGETS, "TestTarget", name, spec)

    def job(self, name: str, *, target: str = "sim", **spec: Any) -> Object:
        """Create a TestJob."""
        spec = {"orgId": "org", "appVersionId": "v1", "test": f"{name}.spec.ts", "target": target, **spec}
        return self._create(TEST_JOBS, "TestJob", name, spec)

    def batch(self, jobs: Sequence[Object], *, claimed: Sequence[Object] | None = None, **spec: Any) -> str:
        """Create a TestBatch of these TestJobs, and claim them (or only `claimed`); returns its name."""
        self._batches += 1
        name = f"tb-{self.namespace}-{self._batches}"
        entries = [entry(job) for job in jobs]
        first = jobs[0]["spec"]
        spec = {
            "appVersionId": first["appVersionId"],
            "target": first["target"],
            "priority": 5,
            "jobs": entries,
            **spec,
        }
        self._create(TEST_BATCHES, "TestBatch", name, spec)
        for job in jobs if claimed is None else claimed:
            self.claim(job["metadata"]["name"], name)
        return name

    def claim(self, job: str, batch: str) -> Object:
        """Claim a TestJob for a batch, as the operator does."""
        live = self.client.get(TEST_JOBS, job)
        changes = lifecycle.claim(live.get("status", {}), batch, live["spec"].get("replays", 0))
        return self._patch_status(TEST_JOBS, live, changes)

    def append(self, batch: str, *jobs: Object) -> Object:
        """Let TestJobs join a batch late (without claiming them yet)."""
        live = self.client.get(TEST_BATCHES, batch)
        patch = {
            "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
            "spec": {"jobs": live["spec"]["jobs"] + [entry(job) for job in jobs]},
        }
        return self.client.patch(TEST_BATCHES, batch, patch, kind="merge")

    def take_away(self, job: str) -> Object:
        """Give a running TestJob back to the line, as if its pod had been lost."""
        live = self.client.get(TEST_JOBS, job)
        result = lifecycle.Result("infrastructure", "the pod is gone")
        policy = lifecycle.RetryPolicy(backoff_seconds=0)
        changes = lifecycle.finish(live["status"], result, policy, 3, datetime(2026, 1, 1, tzinfo=UTC))
        return self._patch_status(TEST_JOBS, live, changes)

    def set_spec(self, plural: str, name: str, **fields: Any) -> Object:
        """Change a spec, as a person does."""
        return self.client.patch(plural, name, {"spec": fields}, kind="merge")

    def set_batch_status(self, name: str, **fields: Any) -> Object:
        """Write a TestBatch's status, as the operator does."""
        return self.client.patch(TEST_BATCHES, name, {"status": fields}, kind="merge", subresource="status")

    def status(self, job: str) -> Object:
        """A TestJob's status."""
        status: Object = self.client.get(TEST_JOBS, job)["status"]
        return status

    def phase(self, job: str) -> str:
        """A TestJob's phase."""
        return str(self.status(job)["phase"])

    def batch_status(self, batch: str) -> Object:
        """A TestBatch's status."""
        status: Object = self.client.get(TEST_BATCHES, batch)["status"]
        return status

    @contextmanager
    def running(
        self, batch: str, *, kubeconfig: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Iterator[Runner]:
        """Start a runner for a batch, and leave none behind."""
        runner = self.start(batch, kubeconfig=kubeconfig, env=env)
        try:
            yield runner
        finally:
            runner.kill()

    def start(
        self, batch: str, *, kubeconfig: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Runner:
        """Start a runner for a batch."""
        return Runner(f"{self.namespace}/{batch}", kubeconfig or self.kubeconfig, self.folder, env or {})

    def run(self, batch: str, *, kubeconfig: Path | None = None, code: int = 0) -> Runner:
        """Run a batch to its end, which must come with that exit code."""
        with self.running(batch, kubeconfig=kubeconfig) as runner:
            assert runner.wait() == code, runner.output
        return runner

    def _create(self, plural: str, kind: str, name: str, spec: Object) -> Object:
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.client.create(plural, body)

    def _patch_status(self, plural: str, live: Object, changes: Object) -> Object:
        patch = lifecycle.merge_patch(live["metadata"]["resourceVersion"], changes)
        return self.client.patch(plural, live["metadata"]["name"], patch, kind="merge", subresource="status")


class Runner:
    """A runner in a process of its own, as in its pod."""

    def __init__(self, batch: str, kubeconfig: Path, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder = folder / uuid.uuid4().hex[:8]
        folder.mkdir()
        self._log = folder / "log"
        arguments = ["--batch", batch, "--kubeconfig", str(kubeconfig), "--workdir", str(folder)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testrunner", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **env},
            )

    @property
    def output(self) -> str:
        """Its log so far."""
        return self._log.read_text()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def wait_for_line(self, text: str) -> None:
        """Wait until its log says something."""
        eventually(lambda: text in self.output or self.process.poll() is not None, lambda: self.output)
        assert text in self.output, self.output

    def terminate(self) -> None:
        """Ask it to stop, as the kubelet does."""
        self.process.terminate()

    def kill(self) -> None:
        """End it in any case (it may be over)."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def entry(job: Object) -> Object:
    """A TestJob as a batch nominates it."""
    attempt = lifecycle.get(job.get("status", {}), "attempt") + 1
    return {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "attempt": attempt}


def simulate(
    *, install: float = 0.0, test: float = 0.0, outcomes: Sequence[Mapping[str, Any]] = ()
) -> Object:
    """A target's `driver`: the simulated one."""
    settings = {"installSeconds": install, "testSeconds": test, "outcomes": list(outcomes)}
    return {"name": "simulate", "simulate": settings}


def command(script: str, **settings: Any) -> Object:
    """A target's `driver`: a shell script that runs one test."""
    return {"name": "command", "command": {"test": ["sh", "-c", script], **settings}}


def eventually(condition: Callable[[], bool], explain: Callable[[], object] = lambda: "") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to that: {explain()}"
        time.sleep(0.02)
