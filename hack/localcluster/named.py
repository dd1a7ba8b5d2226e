"""A cluster that the person names. Nothing of it is made or removed here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hack.localcluster.cluster import ComponentStatus
from hack.localcluster.errors import ClusterError
from hack.localcluster.files import PRIVATE, write_file
from hack.localcluster.kubectl import find_kubectl, why_unreachable
from hack.localcluster.places import state_directory
from hack.localcluster.shell import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hack.localcluster.report import Report


class NamedCluster:
    """See cluster.Cluster."""

    kind = "named"

    def __init__(self, report: Report, kubeconfig: Path | None, context: str | None) -> None:
        """Without `kubeconfig`, `context` is looked up where kubectl would look."""
        self._report = report
        self._file = kubeconfig
        self.context = context

    def up(self) -> None:
        """Check that it answers."""
        if complaint := why_unreachable(find_kubectl(self._report), self.kubeconfig()):
            raise ClusterError(f"the cluster that you named does not answer: {complaint}")
        self._report.say("the cluster that you named answers")

    def down(self) -> None:
        """Touch nothing."""
        self._report.say("the cluster that you named is yours: nothing was changed")

    def status(self) -> list[ComponentStatus]:
        """Tell whether its API server is ready."""
        complaint = why_unreachable(find_kubectl(self._report), self.kubeconfig())
        return [ComponentStatus("kube-apiserver", complaint is None, None, complaint or "")]

    def kubeconfig(self) -> Path:
        """Return the file that was named; where a context was named, a copy that holds only that one."""
        if self._file is not None and not self._file.is_file():
            raise ClusterError(f"there is no kubeconfig {self._file}")
        if self.context is None:
            if self._file is None:
                raise ClusterError("name a kubeconfig, a context, or both")
            return self._file.resolve()
        source = () if self._file is None else ("--kubeconfig", self._file)
        content = run(
            [
                *(find_kubectl(self._report), *source, "--context", self.context),
                *("config", "view", "--minify", "--flatten", "--raw", "--output", "json"),
            ]
        )
        return write_file(state_directory() / "named.kubeconfig", content, PRIVATE)

    def load(self, archives: Sequence[Path]) -> None:
        """Refuse: how a cluster gets its images is its owner's matter."""
        names = ", ".join(os.fspath(archive) for archive in archives)
        raise ClusterError(
            f"images cannot be put into a cluster that you named: push {names} to a registry it pulls from"
        )
