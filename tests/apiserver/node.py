"""A node without containers: each batch's Job has a pod in the API server, and its runner is a process here.

Other than `operator_support.Fleet`, which has no pods, it reports how a runner ended, and ends those whose pod was
deleted. So the operator sees crashes and deletions as on a real node.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from qgjob.api.constants import BATCH_LABEL, TARGET_LABEL
from qgjob.client import Client
from qgjob.client.errors import ApiError, Unreachable
from tests.apiserver.operator_support import (
    BATCH_GROUP,
    CORE,
    ended,
    force_delete,
    make_pod,
    set_pod_status,
)
from tests.apiserver.runner_support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.apiserver.runner_support import Runner, World

Object = dict[str, Any]
_LOOK_SECONDS = 0.1


@dataclass
class Pod:
    """A pod object, and its runner."""

    batch: str
    target: str
    object: Object
    runner: Runner
    #: The environment of each process of its container names this folder, as TMPDIR, or one in the runner's.
    folder: Path
    asked: bool = False
    reported: bool = False
    #: Processes that outlived a runner that was not killed.
    left_behind: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.runner.process.poll() is not None

    def kill(self) -> None:
        """As the kernel does that runs out of memory: the runner has no time for anything."""
        self.runner.process.kill()

    def ask_to_end(self) -> None:
        """Once: asked again, a runner ends without grace."""
        if not self.asked:
            self.asked = True
            self.runner.terminate()


class Node:
    """Runs what is launched in a world's namespace, until the block ends. `env` is what a target's pods have."""

    def __init__(self, world: World, env: Callable[[str], dict[str, str]]) -> None:
        self._world = world
        self._env = env
        self._client = Client.from_kubeconfig(str(world.kubeconfig), namespace=world.namespace)
        self._pods: dict[str, Pod] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        #: Another way to the API server for the runners of a target.
        self.kubeconfigs: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for pod in self._pods.values():
            pod.runner.kill()
            _end_all(pod.folder, pod.runner.folder)

    def pods(self, target: str) -> list[Pod]:
        """A target's pods, in the order in which they were made."""
        return [pod for pod in list(self._pods.values()) if pod.target == target]

    def log(self, target: str) -> str:
        """What a target's runners have said."""
        return "\n".join(pod.runner.output for pod in self.pods(target))

    def wait_for_runner(self, target: str) -> Pod:
        """The target's newest pod, once there is one."""
        eventually(lambda: bool(self.pods(target)))
        return self.pods(target)[-1]

    def delete(self, pod: Pod) -> None:
        """As `kubectl delete pod` does: the runner is asked to end."""
        self._world.client.delete("pods", pod.object["metadata"]["name"], api_version=CORE)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self._start(self._client.list("jobs", api_version=BATCH_GROUP, label_selector=BATCH_LABEL))
                self._end(self._client.list("pods", api_version=CORE, label_selector=BATCH_LABEL))
                self._report()
            except (ApiError, Unreachable):
                continue  # the API server is being restarted, or the account is not there yet

    def _start(self, jobs: Iterable[Object]) -> None:
        for job in jobs:
            name, target = job["metadata"]["name"], job["metadata"]["labels"][TARGET_LABEL]
            if name in self._pods:
                continue
            pod = make_pod(self._world, name)
            uid = str(pod["metadata"]["uid"])
            folder = self._world.folder / uid
            folder.mkdir()
            own = {"POD_UID": uid, "POD_NAME": pod["metadata"]["name"], "TMPDIR": str(folder)}
            runner = self._world.start(
                name, kubeconfig=self.kubeconfigs.get(target), env={**self._env(target), **own}
            )
            self._pods[name] = Pod(name, target, pod, runner, folder)

    def _end(self, pods: Iterable[Object]) -> None:
        deleted = {each["metadata"]["uid"] for each in pods if each["metadata"].get("deletionTimestamp")}
        for pod in self._pods.values():
            if pod.object["metadata"]["uid"] not in deleted:
                continue
            if pod.ended:
                self._report()
                force_delete(self._world, pod.object)
            else:
                pod.ask_to_end()

    def _report(self) -> None:
        for pod in self._pods.values():
            if pod.ended and not pod.reported:
                pod.reported = True
                code = pod.runner.process.returncode
                found = _end_all(pod.folder, pod.runner.folder)
                if code != -signal.SIGKILL:
                    pod.left_behind = found
                set_pod_status(self._world, pod.object, **ended(code if code >= 0 else 128 - code))


def _end_all(*folders: Path) -> tuple[str, ...]:
    """End what is left of a container, as its runtime does; returns the names of its programs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (process / "environ").read_text(errors="replace")
            if any(f"TMPDIR={folder}" in environment for folder in folders):
                found.append((process / "comm").read_text().strip())
                os.kill(int(process.name), signal.SIGKILL)
    return tuple(found)
