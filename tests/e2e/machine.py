"""A machine of our own inside this one: to bring a cluster up and down without touching the one in use.

It is a mount and a network namespace. They begin like the real machine, but with an empty /run, no network, and
a /var/lib that is copied as far as the cluster cares. So whatever differs after `hack/cluster down` was left by
it, and pulling the plug and booting again is a matter of milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hack.localcluster import iptables
from hack.localcluster.cgroups import CgroupTree
from hack.localcluster.host import CHANGED_SYSCTLS
from hack.localcluster.mounts import parse_mountinfo

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[2]
CGROUP = "qgjob-cluster-test"
# What a cluster keeps or leaves under /var/lib; everything else there is the real machine's.
NOT_SHARED = ("qgjob-cluster", "kubelet", "cni")
EMPTY_FOLDERS = ("/run", "/var/log")

# $0 is the machine's folder, $1 the file that says that it has booted.
_BOOT = """
set -e
mount --make-rprivate /
# What a cluster of the real machine has mounted would stay, out of sight, and could not be unmounted any more.
awk '$5 ~ "^/(run|var/log|var/lib/({hidden}))/" {{print $5}}' /proc/self/mountinfo | tac | xargs -r umount --lazy
mkdir -p "$0/real" "$0/var-lib"
mount --bind /var/lib "$0/real"
for path in "$0"/real/*/; do
    name=$(basename "$path")
    case " {not_shared} " in *" $name "*) continue ;; esac
    mkdir -p "$0/var-lib/$name"
done
mount --bind "$0/var-lib" /var/lib
for path in /var/lib/*/; do
    name=$(basename "$path")
    case " {not_shared} " in *" $name "*) continue ;; esac
    mount --bind "$0/real/$name" "$path"
done
umount "$0/real"
for folder in {empty}; do mount -t tmpfs tmpfs "$folder"; done
mount --bind "$0/boot-id" /proc/sys/kernel/random/boot_id
ip link set lo up
touch "$1"
exec sleep infinity
"""


@dataclass(frozen=True)
class Traces:
    """What can be seen of a cluster on a machine, each part so that two looks can be compared."""

    mounts: list[str]
    links: list[str]
    network_namespaces: list[str]
    rules: dict[str, list[str]]
    cgroups: list[str]
    processes: list[str]
    files: list[str]
    sysctls: dict[str, str]


@dataclass
class Machine:
    """See the module. `directory` holds its disk, which outlives its boots; use it as a context manager."""

    directory: Path
    _holder: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._end_everything()  # of a test run that was killed
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull_the_plug()
        shutil.rmtree(self.directory, ignore_errors=True)

    def boot(self) -> None:
        """Start it; its kernel calls this run by a new boot ID."""
        booted = self.directory / "booted"
        booted.unlink(missing_ok=True)
        (self.directory / "boot-id").write_text(f"{uuid.uuid4()}\n")
        script = _BOOT.format(
            not_shared=" ".join(NOT_SHARED), hidden="|".join(NOT_SHARED), empty=" ".join(EMPTY_FOLDERS)
        )
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script, self.directory, booted],
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not booted.exists():
            assert self._holder.poll() is None, "the namespaces cannot be made: see what `unshare` says"
            assert time.monotonic() < deadline, "the namespaces are not ready after 30 s"
            time.sleep(0.02)

    def pull_the_plug(self) -> None:
        """End everything at once, as a power cut does. Mounts and network end with it, the disk stays."""
        assert self._holder is not None
        self._end_everything()
        self._holder.kill()
        self._holder.wait()

    @staticmethod
    def _end_everything() -> None:
        cgroups = CgroupTree.of_machine(CGROUP)
        cgroups.kill_everything()
        cgroups.remove()

    def run(
        self, *argv: str | Path, check: bool = True, timeout: float = 200
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on it to its end."""
        done = subprocess.run(
            [*self._enter(), *argv],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"{argv} ended with {done.returncode}: {done.stderr}{done.stdout}"
        )
        return done

    def cluster(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run hack/cluster on it, for a local cluster."""
        return self.run(*_hack_cluster(arguments), check=check)

    def start_cluster(self, *arguments: str) -> subprocess.Popen[str]:
        """Start hack/cluster on it and return at once."""
        return subprocess.Popen(
            [*self._enter(), *_hack_cluster(arguments)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl on the machine's cluster; return what it printed."""
        if stdin is not None:
            manifest = self.directory / "manifest.yaml"
            manifest.write_text(stdin)
            arguments = (*arguments, "--filename", str(manifest))
        return self.cluster("kubectl", *arguments, check=check).stdout

    def get(self, *arguments: str) -> Any:
        """Run `kubectl get` and return the object or list."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def components(self) -> dict[str, dict[str, Any]]:
        """Return what `hack/cluster status` says, by component."""
        done = self.cluster("status", "--output", "json", check=False)
        return {each["name"]: each for each in json.loads(done.stdout)["components"]}

    def kill(self, component: str) -> None:
        """Crash one of the cluster's programs."""
        os.kill(self.components()[component]["pid"], signal.SIGKILL)

    def traces(self) -> Traces:
        """Look for everything that a cluster can leave behind."""
        rules = {
            family: [
                line
                for table, lines in iptables.parse_save(self.run(f"{family}-save").stdout).items()
                for line in _without_counters(table, lines)
            ]
            for family in ("iptables", "ip6tables")
        }
        mounts = parse_mountinfo(self.run("cat", "/proc/self/mountinfo").stdout)
        links = json.loads(self.run("ip", "-json", "link", "show").stdout)
        found = self.run(
            "find", "/run", "/var/log", *(f"/var/lib/{name}" for name in NOT_SHARED), check=False
        )
        return Traces(
            mounts=sorted(str(mount.path) for mount in mounts),
            links=sorted(link["ifname"] for link in links),
            network_namespaces=self.run("ip", "netns", "list").stdout.split(),
            rules=rules,
            cgroups=[str(branch) for branch in CgroupTree.of_machine(CGROUP).branches() if branch.exists()],
            processes=self._processes(),
            # The lock stays: whoever waits for it must not be left with another file of the same name.
            files=sorted(set(found.stdout.split()) - {"/run/lock", "/run/lock/qgjob-cluster.lock"}),
            sysctls={name: self.run("cat", f"/proc/sys/{name}").stdout.strip() for name in CHANGED_SYSCTLS},
        )

    def _processes(self) -> list[str]:
        """Return the processes in the machine's network, and those in the cluster's cgroups (pods, say)."""
        assert self._holder is not None
        own_network = Path(f"/proc/{self._holder.pid}/ns/net").readlink()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                inside = (folder / "ns" / "net").readlink() == own_network
                inside = inside or CGROUP in (folder / "cgroup").read_text()
                is_zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if inside and not is_zombie and int(folder.name) != self._holder.pid:
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
        return sorted(found)

    def _enter(self) -> Sequence[str]:
        assert self._holder is not None
        return ("nsenter", "--target", str(self._holder.pid), "--mount", "--net", "--")

    def _environment(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if key not in {"KUBECONFIG", "QGJOB_KUBECONFIG"}
        }
        return {**kept, "QGJOB_CLUSTER_CGROUP": CGROUP}


def _hack_cluster(arguments: Sequence[str | Path]) -> list[str | Path]:
    command, *rest = arguments
    return [sys.executable, REPOSITORY / "hack" / "cluster", command, "--provider", "local", *rest]


def _without_counters(table: str, lines: Sequence[str]) -> list[str]:
    """Return a table's rules and chains, but no empty built-in chain that lets everything pass: that is nothing."""
    return [
        f"{table} {line.split(' [')[0]}"
        for line in lines
        if not (line.startswith(":") and line.split()[1] == "ACCEPT")
    ]
