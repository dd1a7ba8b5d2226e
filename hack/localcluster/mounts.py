"""What is mounted where, and how to end it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.errors import ClusterError
from hack.localcluster.shell import succeeds


@dataclass(frozen=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    path: Path
    filesystem: str
    options: frozenset[str]  # the file system's own ones; for cgroup v1 they name its controllers


def parse_mountinfo(text: str) -> list[Mount]:
    """Read /proc/self/mountinfo (see proc_pid_mountinfo(5)), in the order of mounting."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        filesystem, _, options = after.split(" ", 2)
        mounts.append(
            Mount(Path(_unescaped(before.split(" ")[4])), filesystem, frozenset(options.split(",")))
        )
    return mounts


def current_mounts() -> list[Mount]:
    """Return what is mounted now."""
    return parse_mountinfo(Path("/proc/self/mountinfo").read_text())


def mounts_under(mounts: list[Mount], directory: Path) -> list[Path]:
    """Return the mount points at or below `directory`, in the order in which they can be unmounted."""
    return [mount.path for mount in reversed(mounts) if mount.path.is_relative_to(directory)]


def unmount_everything_under(directory: Path) -> None:
    """Unmount all that is mounted at or below `directory`.

    Raises ClusterError when something stays: whatever removes the folder then would reach into other disks.
    """
    for path in mounts_under(current_mounts(), directory):
        if not succeeds(["umount", path]):
            succeeds(["umount", "--lazy", path])
    if left := mounts_under(current_mounts(), directory):
        raise ClusterError(
            f"{left[0]} cannot be unmounted: see what uses it (fuser -vm {left[0]}) and try again"
        )


def _unescaped(path: str) -> str:
    """The kernel writes spaces and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
