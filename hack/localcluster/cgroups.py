"""One branch of the cgroup tree for everything of the cluster: its programs and its pods.

That keeps pods apart from any other kubelet's, and it is how `down` finds every process of the cluster, also
those that were orphaned by a crash. Works for cgroup v1 (one tree a controller) and v2 (one tree for all).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.mounts import current_mounts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hack.localcluster.mounts import Mount

NEEDED_CONTROLLERS = ("cpu", "cpuset", "memory")
# v1: the tree that the cluster's own programs join; one is enough to find them, and these limit nothing.
PREFERRED_V1_TREES = ("freezer", "pids", "name=systemd", "devices")
DAEMONS = "daemons"


@dataclass(frozen=True)
class CgroupTree:
    """Every hierarchy of this machine, and our branch of it."""

    branch: str
    v1: dict[str, Path]  # controller → mount point
    unified: Path | None  # mount point of v2's one hierarchy; beside v1 it has no controllers (hybrid)

    @classmethod
    def of_machine(cls, branch: str, mounts: list[Mount] | None = None) -> CgroupTree:
        """Read what this machine has."""
        mounts = current_mounts() if mounts is None else mounts
        v1 = {
            option: mount.path
            for mount in mounts
            if mount.filesystem == "cgroup"
            for option in mount.options - {"rw", "ro"}
        }
        unified = [mount.path for mount in mounts if mount.filesystem == "cgroup2"]
        return cls(branch, v1, unified[0] if unified else None)

    @property
    def v2(self) -> Path | None:
        """The unified hierarchy where that is the one with the controllers, as on all newer systems."""
        return None if "memory" in self.v1 else self.unified

    def missing(self) -> list[str]:
        """Name the controllers that a kubelet needs and our branch does not have. Needs create() once before."""
        there = set(self.v1)
        if self.v2 is not None:
            there = set((self.v2 / self.branch / "cgroup.controllers").read_text().split())
        return [controller for controller in NEEDED_CONTROLLERS if controller not in there]

    def create(self) -> None:
        """Create our branch in every hierarchy, with a leaf for the cluster's own programs."""
        if self.v2 is not None:
            self._create_v2(self.v2)
            return
        for root in set(self.v1.values()):
            branch = root / self.branch
            branch.mkdir(exist_ok=True)
            # A cpuset takes no process before it is told which CPUs and memory it is about.
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (branch / name).exists() and not (branch / name).read_text().strip():
                    (branch / name).write_text((root / name).read_text())
        self.daemons_leaf().mkdir(exist_ok=True)

    def daemons_leaf(self) -> Path:
        """Return the cgroup of the cluster's own programs."""
        if self.v2 is not None:
            return self.v2 / self.branch / DAEMONS
        tree = next((self.v1[name] for name in PREFERRED_V1_TREES if name in self.v1), None)
        if tree is None:
            raise ClusterError(f"none of the cgroup hierarchies {', '.join(PREFERRED_V1_TREES)} is mounted")
        return tree / self.branch / DAEMONS

    def launcher(self) -> tuple[str, ...]:
        """Return a command that joins the cgroup of the cluster's programs, then becomes what follows it."""
        return ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.daemons_leaf() / "cgroup.procs"))

    def branches(self) -> list[Path]:
        """Return our branch in each hierarchy, whether it exists or not."""
        roots = set(self.v1.values()) | ({self.unified} if self.unified is not None else set())
        return sorted(root / self.branch for root in roots)

    def processes(self) -> set[int]:
        """Return the processes in our branch, in any hierarchy."""
        return {pid for branch in self.branches() for pid in _processes_below(branch)}

    def daemons(self) -> set[int]:
        """Return the cluster's own programs, and the shims that hold its containers."""
        return set(_processes_below(self.daemons_leaf()))

    def kill_everything(self, timeout_seconds: float = 20) -> None:
        """Kill every process in our branch and wait until they are gone. Raises ClusterError if some stay."""
        deadline = time.monotonic() + timeout_seconds
        while pids := self.processes():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"processes {sorted(pids)} cannot be killed; see `ps` for what they wait for"
                )
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def remove(self, timeout_seconds: float = 10) -> None:
        """Remove our branch everywhere. Raises ClusterError when a part of it stays."""
        deadline = time.monotonic() + timeout_seconds
        for branch in self.branches():
            while branch.exists():
                _remove_tree(branch)
                if time.monotonic() > deadline:
                    raise ClusterError(f"the cgroup {branch} cannot be removed: it is still in use")
                if branch.exists():
                    time.sleep(0.05)

    def _create_v2(self, root: Path) -> None:
        branch = root / self.branch
        branch.mkdir(exist_ok=True)
        for parent in (root, branch):
            available = set((parent / "cgroup.controllers").read_text().split())
            enabled = set((parent / "cgroup.subtree_control").read_text().split())
            for controller in sorted(available - enabled):
                # Some cannot be handed down: realtime processes keep `cpu` at the root.
                with suppress(OSError):
                    (parent / "cgroup.subtree_control").write_text(f"+{controller}")
        (branch / DAEMONS).mkdir(exist_ok=True)


def _processes_below(branch: Path) -> Iterable[int]:
    for directory, _, _ in os.walk(branch):
        with suppress(OSError), open(os.path.join(directory, "cgroup.procs")) as file:  # noqa: PTH118, PTH123
            yield from (int(line) for line in file)


def _remove_tree(branch: Path) -> None:
    for directory, _, _ in os.walk(branch, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)  # noqa: PTH106
