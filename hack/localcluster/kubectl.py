"""kubectl: the one that is there, else one built from source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.programs import KUBECTL, KUBERNETES, ensure_built
from hack.localcluster.shell import find_program, run

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.report import Report


def find_kubectl(report: Report) -> str:
    """Return the path of kubectl: of the local cluster's version, else the person's, else a new one."""
    for release in (KUBERNETES, KUBECTL):
        if release.path("kubectl").exists():
            return str(release.path("kubectl"))
    if program := find_program("kubectl"):
        return program
    ensure_built([KUBECTL], report)
    return str(KUBECTL.path("kubectl"))


def why_unreachable(kubectl: str, kubeconfig: Path) -> str | None:
    """Ask a cluster's API server whether it is ready; None when it is, else what is wrong."""
    try:
        run(
            [kubectl, "--kubeconfig", kubeconfig, "get", "--raw", "/readyz", "--request-timeout=10s"],
            timeout=30,
        )
    except ClusterError as error:
        return str(error).rpartition("): ")[2]
    return None
