"""What every kind of cluster can do here, and what is told about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class ComponentStatus:
    """One part of a cluster: whether it is well, and if not why."""

    name: str
    healthy: bool
    pid: int | None = None
    detail: str = ""


class Cluster(Protocol):
    """A cluster that `hack/cluster` can give."""

    @property
    def kind(self) -> str:
        """How people call this kind of cluster."""
        ...

    @property
    def context(self) -> str | None:
        """The kubeconfig's context to use; None means its current one."""
        ...

    def up(self) -> None:
        """Bring it up, or repair it; harmless when it is up. Raises ClusterError."""
        ...

    def down(self) -> None:
        """Remove it and everything in it; harmless when there is none. Raises ClusterError."""
        ...

    def status(self) -> list[ComponentStatus]:
        """Tell how its parts are; empty when there is no such cluster."""
        ...

    def kubeconfig(self) -> Path:
        """Return the path of its kubeconfig. Raises ClusterError when there is no such cluster."""
        ...

    def load(self, archives: Sequence[Path]) -> None:
        """Put the images of docker or OCI archives where its pods find them. Raises ClusterError."""
        ...
