"""Which cluster is meant: one that the person names, else kind where an engine answers, else a local one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.kind import ENGINES, KindCluster, answering_engine
from hack.localcluster.local import LocalCluster
from hack.localcluster.named import NamedCluster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hack.localcluster.cluster import Cluster
    from hack.localcluster.report import Report

NAMING_VARIABLE = "QGJOB_KUBECONFIG"


@dataclass(frozen=True)
class Wish:
    """What the person said about the cluster. An exported KUBECONFIG says nothing: it serves other work."""

    kubeconfig: str | None = None
    context: str | None = None
    provider: str | None = None

    @classmethod
    def of(
        cls,
        kubeconfig: str | None,
        context: str | None,
        provider: str | None,
        environment: Mapping[str, str] = os.environ,
    ) -> Wish:
        """Combine options with the environment; options win."""
        if provider is not None and (kubeconfig or context):
            raise ClusterError(
                "--provider makes a cluster, --kubeconfig and --context name one: give one of them"
            )
        if provider is None and not kubeconfig:
            kubeconfig = environment.get(NAMING_VARIABLE) or None
        return cls(kubeconfig, context, provider)

    def names_a_cluster(self) -> bool:
        """Tell whether a cluster of the person's own is meant."""
        return self.kubeconfig is not None or self.context is not None


def choose(wish: Wish, report: Report) -> Cluster:
    """Return the cluster that is meant. Raises ClusterError when a wish cannot be met."""
    if wish.names_a_cluster():
        file = Path(wish.kubeconfig).expanduser() if wish.kubeconfig else None
        return NamedCluster(report, file, wish.context)
    if wish.provider == "local":
        return LocalCluster(report)
    if wish.provider is None and LocalCluster.exists():
        # It stays the one that is meant also when somebody starts Docker later.
        return LocalCluster(report)
    engine = answering_engine()
    if engine is not None:
        return KindCluster(report, engine)
    if wish.provider == "kind":
        raise ClusterError(
            f"kind needs a container engine, and neither {' nor '.join(ENGINES)} answers: start one"
        )
    return LocalCluster(report)
