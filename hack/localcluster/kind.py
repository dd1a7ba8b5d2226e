"""A cluster by kind, where a container engine answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hack.localcluster.cluster import ComponentStatus
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import find_kubectl, why_unreachable
from hack.localcluster.places import state_directory
from hack.localcluster.programs import KIND, ensure_built
from hack.localcluster.report import format_seconds
from hack.localcluster.shell import find_program, run, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hack.localcluster.report import Report

CLUSTER = "qgjob"
CONTROL_PLANE_CONTAINER = f"{CLUSTER}-control-plane"
ENGINES = ("docker", "podman")
CREATE_TIMEOUT_SECONDS = 900
READY_TIMEOUT_SECONDS = 120


def answering_engine() -> str | None:
    """Return docker or podman, whichever answers. A client alone is no engine."""
    return next((engine for engine in ENGINES if find_program(engine) and succeeds([engine, "info"])), None)


def kubeconfig_path() -> Path:
    """Return where kind's kubeconfig is kept: a file of our own, never the person's."""
    return state_directory() / "kind.kubeconfig"


class KindCluster:
    """See cluster.Cluster."""

    kind = "kind"
    context: str | None = None

    def __init__(self, report: Report, engine: str) -> None:
        self._report = report
        self._engine = engine

    def up(self) -> None:
        """Create it, or start it again."""
        started = time.monotonic()
        kubeconfig_path().parent.mkdir(parents=True, exist_ok=True)
        if self._exists():
            # After a restart of the machine its container is there, but stopped.
            run([self._engine, "start", CONTROL_PLANE_CONTAINER])
            self._kind("export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", kubeconfig_path())
        else:
            self._report.say(
                f"creating a kind cluster with {self._engine} (its image is fetched the first time)"
            )
            self._kind(
                *("create", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig_path()),
                *("--wait", f"{READY_TIMEOUT_SECONDS}s"),
            )
        self._wait_ready()
        self._report.say(f"the kind cluster is up, after {format_seconds(time.monotonic() - started)}")
        self._report.say("  use it:  export KUBECONFIG=$(hack/cluster kubeconfig)")

    def down(self) -> None:
        """Delete it."""
        if not self._exists():
            self._report.say(f"there is no kind cluster {CLUSTER}")
        else:
            self._kind("delete", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig_path())
            self._report.say("the kind cluster is gone")
        kubeconfig_path().unlink(missing_ok=True)

    def status(self) -> list[ComponentStatus]:
        """Tell whether its API server is ready."""
        if not self._exists() or not kubeconfig_path().exists():
            return []
        complaint = why_unreachable(find_kubectl(self._report), kubeconfig_path())
        return [ComponentStatus("kube-apiserver", complaint is None, None, complaint or "")]

    def kubeconfig(self) -> Path:
        """Return the kubeconfig that kind wrote for us."""
        if not kubeconfig_path().exists():
            raise ClusterError("there is no kind cluster yet; `hack/cluster up` makes one")
        return kubeconfig_path()

    def load(self, archives: Sequence[Path]) -> None:
        """Have kind put the images into its node."""
        for archive in archives:
            self._report.say(f"loading {archive}")
            self._kind("load", "image-archive", archive, "--name", CLUSTER)

    def _exists(self) -> bool:
        return CLUSTER in self._kind("get", "clusters").split()

    def _wait_ready(self) -> None:
        kubectl = find_kubectl(self._report)
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while complaint := why_unreachable(kubectl, kubeconfig_path()):
            if time.monotonic() > deadline:
                raise ClusterError(f"the kind cluster is not ready: {complaint}")
            time.sleep(1)

    def _kind(self, *arguments: str | Path) -> str:
        program = find_program("kind")
        if program is None:
            ensure_built([KIND], self._report)
            program = str(KIND.path("kind"))
        environment = {"KIND_EXPERIMENTAL_PROVIDER": self._engine}
        return run([program, *arguments], env=environment, timeout=CREATE_TIMEOUT_SECONDS)
