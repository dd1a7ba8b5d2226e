"""What the tests of the operator share: operators as processes, and a fleet that runs what they launch.

There is no node here, so a Kubernetes Job makes no pod: `Fleet` plays the kubelet, and starts the real runner for
each Job. Pods that a test wants to see lost are made by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from qgjob.api.constants import BATCH_LABEL, TEST_BATCHES, TEST_JOBS
from qgjob.client import Client
from qgjob.client.errors import ApiError, Unreachable
from tests.apiserver.runner_support import PATIENCE_SECONDS, Runner, World, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Object = dict[str, Any]
BATCH_GROUP = "batch/v1"
CORE = "v1"


class OperatorProcess:
    """One replica of the operator, for one namespace only, with its Lease there."""

    def __init__(self, world: World, *flags: str, kubeconfig: Path | None = None) -> None:
        self.log_path = world.folder / f"operator-{uuid.uuid4().hex[:6]}.log"
        arguments = [
            *("--kubeconfig", str(kubeconfig or world.kubeconfig), "--namespace", world.namespace),
            *("--lease-namespace", world.namespace, "--metrics-host", "127.0.0.1", "--metrics-port", "0"),
            *("--lease-duration-seconds", "3", "--lease-renew-deadline-seconds", "2"),
            *("--lease-retry-seconds", "0.3", *flags),
        ]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testqueue", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.log_path.read_text()

    def wait_until_it_leads(self) -> None:
        """Wait for the Lease."""
        eventually(lambda: "leading as" in self.log or self.process.poll() is not None, lambda: self.log)
        assert self.process.poll() is None, self.log

    def port(self) -> int:
        """The port of its metrics and probes."""
        eventually(lambda: "on port" in self.log, lambda: self.log)
        found = re.search(r"on port (\d+)", self.log)
        assert found
        return int(found[1])

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """SIGKILL; it may be over."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def operating(world: World, *flags: str, kubeconfig: Path | None = None) -> Iterator[OperatorProcess]:
    """Run an operator that leads, and leave none behind."""
    operator = OperatorProcess(world, *flags, kubeconfig=kubeconfig)
    try:
        operator.wait_until_it_leads()
        yield operator
    finally:
        operator.kill()


class Fleet:
    """Starts a real runner, outside of any pod, for each Kubernetes Job of a batch, as a kubelet would."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._client = Client.from_kubeconfig(str(world.kubeconfig), namespace=world.namespace)
        self._runners: dict[str, Runner] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for runner in self._runners.values():
            runner.kill()

    @property
    def logs(self) -> str:
        """What all runners have said."""
        return "\n".join(runner.output for runner in self._runners.values())

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            try:
                jobs = list(self._client.list("jobs", api_version=BATCH_GROUP, label_selector=BATCH_LABEL))
            except (ApiError, Unreachable):
                continue  # the API server is being restarted
            for job in jobs:
                name = job["metadata"]["name"]
                if name not in self._runners:
                    self._runners[name] = self._world.start(name)


def make_pod(world: World, batch: str, **status: Any) -> Object:
    """A pod of a batch, as the Job controller and a kubelet would have made it."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{batch}-{uuid.uuid4().hex[:5]}", "labels": {BATCH_LABEL: batch}},
        "spec": {
            "serviceAccountName": "qgjob-runner",
            "nodeName": "nowhere",
            "containers": [{"name": "runner", "image": "none"}],
        },
    }
    pod = world.client.create("pods", body, api_version=CORE)
    return set_pod_status(world, pod, **status) if status else pod


def set_pod_status(world: World, pod: Object, **status: Any) -> Object:
    """Report on a pod, as a kubelet does."""
    name = pod["metadata"]["name"]
    return world.client.patch(
        "pods", name, {"status": status}, kind="merge", subresource="status", api_version=CORE
    )


def force_delete(world: World, pod: Object) -> None:
    """Delete a pod without asking its node, as `kubectl delete --force` does."""
    path = world.client.path("pods", pod["metadata"]["name"], api_version=CORE)
    world.client.request("DELETE", path, body={"gracePeriodSeconds": 0})


def ended(exit_code: int, reason: str = "Error") -> Object:
    """A pod's status whose one container has ended."""
    state = {"terminated": {"exitCode": exit_code, "reason": reason}}
    container = {
        "name": "runner",
        "state": state,
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
    }
    return {"phase": "Failed" if exit_code else "Succeeded", "containerStatuses": [container]}


def take_batch(world: World, batch: str, pod: Object) -> None:
    """A pod's runner makes the batch its own."""
    world.set_batch_status(
        batch,
        pod=pod["metadata"]["uid"],
        podName=pod["metadata"]["name"],
        phase="Installing",
        startTime="2026-01-01T00:00:00Z",
    )


def batches(world: World) -> list[Object]:
    """All TestBatches."""
    return list(world.client.list(TEST_BATCHES))


def only_batch(world: World) -> str:
    """Wait for the one batch there is, claims and Job included; returns its name."""
    eventually(lambda: len(batches(world)) == 1, lambda: batches(world))
    name = str(batches(world)[0]["metadata"]["name"])
    eventually(
        lambda: any(
            job["metadata"]["name"] == name for job in world.client.list("jobs", api_version=BATCH_GROUP)
        )
    )
    return name


def phases(world: World) -> dict[str, str]:
    """Each TestJob's phase."""
    return {job["metadata"]["name"]: job["status"]["phase"] for job in world.client.list(TEST_JOBS)}


def wait_for_phase(world: World, phase: str) -> None:
    """Wait until every TestJob is there."""
    eventually(lambda: set(phases(world).values()) == {phase}, lambda: phases(world))
