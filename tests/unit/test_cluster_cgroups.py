"""Finding the cluster's processes by their cgroup, whichever kind of cgroups a machine has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hack.localcluster.cgroups import CgroupTree
from hack.localcluster.mounts import Mount, current_mounts, mounts_under, parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTINFO = r"""
24 30 0:22 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
25 30 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
26 30 0:24 / /run/qgjob-cluster/a\040b rw - tmpfs shm rw
27 26 0:25 / /run/qgjob-cluster/a\040b/c rw - overlay overlay rw
28 30 0:26 / /run/qgjob-cluster-other rw - tmpfs tmpfs rw
""".strip()


def test_mountinfo_is_read_with_its_escapes_and_optional_fields() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert mounts[1] == Mount(
        Path("/sys/fs/cgroup/cpu,cpuacct"), "cgroup", frozenset({"rw", "cpu", "cpuacct"})
    )
    assert mounts[2].path == Path("/run/qgjob-cluster/a b")


def test_what_is_mounted_last_is_unmounted_first_and_neighbours_stay() -> None:
    below = mounts_under(parse_mountinfo(MOUNTINFO), Path("/run/qgjob-cluster"))
    assert below == [Path("/run/qgjob-cluster/a b/c"), Path("/run/qgjob-cluster/a b")]


def v1_mounts(root: Path, *names: str) -> list[Mount]:
    """Let folders stand for cgroup v1's hierarchies."""
    for name in names:
        (root / name).mkdir()
    return [Mount(root / name, "cgroup", frozenset({"rw", name})) for name in names]


def test_v1_has_a_branch_in_every_hierarchy(tmp_path: Path) -> None:
    tree = CgroupTree.of_machine("ours", v1_mounts(tmp_path, "cpu", "cpuset", "memory", "pids"))
    tree.create()
    assert tree.branches() == [tmp_path / name / "ours" for name in ("cpu", "cpuset", "memory", "pids")]
    assert all(branch.is_dir() for branch in tree.branches())
    assert tree.daemons_leaf() == tmp_path / "pids" / "ours" / "daemons"


def test_v1_hands_cpus_and_memory_nodes_down_since_a_cpuset_begins_with_none(tmp_path: Path) -> None:
    tree = CgroupTree.of_machine("ours", v1_mounts(tmp_path, "cpuset", "memory", "pids"))
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "ours").mkdir()
    (tmp_path / "cpuset" / "ours" / "cpuset.cpus").write_text("\n")
    tree.create()
    assert (tmp_path / "cpuset" / "ours" / "cpuset.cpus").read_text() == "0-1\n"


def test_hybrid_cgroups_are_v1_but_the_unified_hierarchy_is_cleaned_up_too(tmp_path: Path) -> None:
    unified = Mount(tmp_path / "unified", "cgroup2", frozenset({"rw"}))
    tree = CgroupTree.of_machine("ours", [*v1_mounts(tmp_path, "memory", "pids"), unified])
    assert tree.v2 is None
    assert tmp_path / "unified" / "ours" in tree.branches()


def test_v2_counts_what_is_handed_down_to_our_branch(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu cpuset memory pids\n")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "cgroup.controllers").write_text("cpu memory pids\n")
    tree = CgroupTree.of_machine("ours", [Mount(tmp_path, "cgroup2", frozenset({"rw"}))])
    assert tree.v2 == tmp_path
    assert tree.missing() == ["cpuset"]


def test_a_controller_that_the_kernel_lacks_is_named(tmp_path: Path) -> None:
    tree = CgroupTree.of_machine("ours", v1_mounts(tmp_path, "cpuset", "pids"))
    assert tree.missing() == ["cpu", "memory"]


@pytest.fixture
def real_tree() -> Iterator[CgroupTree]:
    tree = CgroupTree.of_machine("qgjob-unit-test", current_mounts())
    if os.geteuid() != 0:
        pytest.skip("needs root and the machine's cgroups")
    tree.create()
    yield tree
    tree.kill_everything()
    tree.remove()


def test_every_process_of_a_branch_is_found_and_killed(real_tree: CgroupTree) -> None:
    # The shell leaves a child of its own behind, as a crashed program does.
    script = "sleep 1000 & exec sleep 1000"
    process = subprocess.Popen([*real_tree.launcher(), "sh", "-c", f"echo started; {script}"], stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()

    found = real_tree.processes()
    real_tree.kill_everything()

    assert process.pid in found
    assert process.wait(timeout=10) == -9
    assert real_tree.processes() == set()


def test_a_removed_branch_leaves_nothing_in_any_hierarchy(real_tree: CgroupTree) -> None:
    for branch in real_tree.branches():
        if branch.exists():
            (branch / "pod" / "container").mkdir(parents=True)
    real_tree.remove()
    assert not any(branch.exists() for branch in real_tree.branches())
