"""The local cluster: one real node on this machine, for whoever has no cluster and no container engine."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster import debian, network
from hack.localcluster.cgroups import CgroupTree
from hack.localcluster.cluster import ComponentStatus
from hack.localcluster.containerd import Containerd, archive_images
from hack.localcluster.controlplane import ControlPlane
from hack.localcluster.daemons import Daemon, ProcessIdentity, Supervisor, current_boot_id
from hack.localcluster.errors import ClusterError
from hack.localcluster.files import write_file
from hack.localcluster.host import HostBefore
from hack.localcluster.locks import exclusive
from hack.localcluster.mounts import unmount_everything_under
from hack.localcluster.node import Node
from hack.localcluster.programs import KUBERNETES, LOCAL_CLUSTER, ensure_built
from hack.localcluster.report import format_seconds
from hack.localcluster.rest import ApiError
from hack.localcluster.shell import run, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hack.localcluster.report import Report

STATE = Path("/var/lib/qgjob-cluster")
RUN = Path("/run/qgjob-cluster")
LOCK = Path("/run/lock/qgjob-cluster.lock")
# Tests that bring a cluster up in namespaces of their own need another branch: cgroups have no such walls.
CGROUP = os.environ.get("QGJOB_CLUSTER_CGROUP", "qgjob-cluster")
START_TIMEOUT_SECONDS = 90.0
# What runs may be busy finding back to a part that was just restarted.
RECOVERY_SECONDS = 30.0
OTHER_WAYS = "or start Docker, or name a cluster with --kubeconfig"


@dataclass(frozen=True)
class Parts:
    """Everything the local cluster consists of, in the order of starting."""

    plane: ControlPlane
    containerd: Containerd
    node: Node

    @classmethod
    def on_this_machine(cls) -> Parts:
        """Return the parts at their places; there is one local cluster a machine."""
        plane = ControlPlane(STATE / "control-plane", host=network.GATEWAY, advertise_address=network.GATEWAY)
        containerd = Containerd(STATE / "containerd", RUN / "containerd", STATE / "cni")
        return cls(plane, containerd, Node(STATE / "node", plane, containerd.endpoint, f"/{CGROUP}"))

    def prepare(self) -> None:
        """Write all certificates and configuration."""
        self.plane.prepare()
        self.containerd.prepare()
        self.node.prepare()

    def daemons(self) -> list[Daemon]:
        """Return the programs. Needs prepare() once before."""
        return [
            self.containerd.daemon(),
            self.plane.etcd(),
            self.plane.apiserver(),
            self.plane.controller_manager(),
            self.plane.scheduler(),
            self.node.proxy(),
            self.node.kubelet(),
        ]


class LocalCluster:
    """See cluster.Cluster."""

    kind = "local"
    context: str | None = None

    def __init__(self, report: Report) -> None:
        self._report = report
        self._parts = Parts.on_this_machine()

    @cached_property
    def _cgroups(self) -> CgroupTree:
        return CgroupTree.of_machine(CGROUP)

    @cached_property
    def _supervisor(self) -> Supervisor:
        return Supervisor(STATE / "processes", STATE / "logs", self._cgroups.launcher())

    @staticmethod
    def exists() -> bool:
        """Tell whether there is one on this machine, well or not."""
        return STATE.exists()

    def up(self) -> None:
        """Bring it up, or start what is missing of it."""
        _require_root("up")
        started = time.monotonic()
        with exclusive(LOCK, self._report, doing="changing the local cluster"):
            if self.exists() and all(part.healthy for part in self._examine()):
                self._report.say("the local cluster is up")
                return
            self._provide_programs()
            self._prepare_machine()
            self._parts.prepare()
            self._give_kubeconfig_to_sudo_user()
            self._start()
        took = format_seconds(time.monotonic() - started)
        self._report.say(f"the local cluster is up: Kubernetes {KUBERNETES.version}, one node, after {took}")
        self._report.say("  use it:  export KUBECONFIG=$(hack/cluster kubeconfig)")

    def down(self) -> None:
        """Remove it, with all its data; what was built stays in the cache."""
        _require_root("down")
        started = time.monotonic()
        with exclusive(LOCK, self._report, doing="changing the local cluster"):
            if not self.exists() and not RUN.exists() and not self._cgroups.processes():
                self._report.say("there is no local cluster on this machine")
                return
            before = HostBefore.read(STATE / "host-before.json")
            self._kill_everything()
            for directory in (RUN, STATE):
                unmount_everything_under(directory)
            network.remove(keep_kube_chains=before is None or before.kube_chains)
            self._cgroups.remove()
            self._remove_traces_in_shared_folders()
            if before is not None:
                before.restore_sysctls()
                before.remove_new_folders()
            for directory in (RUN, STATE):
                run(["rm", "-rf", "--one-file-system", directory], timeout=600)
        self._report.say(f"the local cluster is gone, after {format_seconds(time.monotonic() - started)}")

    def status(self) -> list[ComponentStatus]:
        """Ask every part for its health."""
        if not self.exists():
            return []
        _require_root("status")
        return list(self._examine())

    def kubeconfig(self) -> Path:
        """Return the owner's kubeconfig."""
        path = self._parts.plane.admin_kubeconfig
        if not path.exists():
            raise ClusterError("there is no local cluster on this machine; `hack/cluster up` makes one")
        return path

    def load(self, archives: Sequence[Path]) -> None:
        """Import archives into the node's containerd; what is there already is not read again."""
        _require_root("load")
        containerd = self._parts.containerd
        if complaint := containerd.daemon().complaint():
            raise ClusterError(f"the local cluster is not well ({complaint}); `hack/cluster up` repairs it")
        for archive in archives:
            named = archive_images(archive)
            before = containerd.images()
            if named and all(before.get(name) == digest for name, digest in named.items()):
                self._report.say(f"{', '.join(named)} is loaded already")
                continue
            started = time.monotonic()
            self._report.say(f"loading {archive} ({archive.stat().st_size / 1e6:.0f} MB)")
            containerd.import_archive(archive)
            changed = [name for name, digest in containerd.images().items() if before.get(name) != digest]
            names = ", ".join(name for name in changed if not name.startswith("sha256:")) or archive.name
            self._report.say(f"loaded {names} in {format_seconds(time.monotonic() - started)}")

    def _examine(self) -> Iterator[ComponentStatus]:
        """Ask one part after the other, so that whoever wants to know of the first trouble waits for no others."""
        self._parts.prepare()
        for daemon in self._parts.daemons():
            process = self._supervisor.process_of(daemon.name)
            if process is None:
                complaint: str | None = "it does not run"
            elif not self._supervisor.is_current(daemon):
                complaint = "it runs with an older configuration"
            else:
                complaint = daemon.complaint()
            pid = process.pid if process else None
            yield ComponentStatus(daemon.name, complaint is None, pid, complaint or "")
        network_is_up = network.is_up()
        yield ComponentStatus(
            "network", network_is_up, None, "" if network_is_up else "bridge or rules are missing"
        )
        complaint = self._parts.node.complaint()
        yield ComponentStatus("node", complaint is None, None, complaint or "")

    def _provide_programs(self) -> None:
        """Build and install what is missing; one waits for the processor, the other for the network."""
        packages = debian.missing_packages()
        if packages and not debian.can_install():
            raise ClusterError(debian.install_hint(packages))
        problems: list[ClusterError] = []

        def install() -> None:
            try:
                debian.install(packages)
                self._report.say(f"installed {' '.join(packages)}")
            except ClusterError as error:
                problems.append(error)

        installer = threading.Thread(target=install)
        if packages:
            self._report.say(f"installing Debian packages: {' '.join(packages)}")
            installer.start()
        try:
            ensure_built(LOCAL_CLUSTER, self._report)
        finally:
            if packages:
                installer.join()
        if problems:
            raise problems[0]

    def _prepare_machine(self) -> None:
        _require_overlay()
        if not succeeds(["iptables", "--wait", "10", "--table", "nat", "--list-rules"]):
            raise ClusterError(f"the kernel offers no packet filter (iptables -t nat -S fails); {OTHER_WAYS}")
        STATE.mkdir(parents=True, exist_ok=True)
        STATE.chmod(0o755)
        if not (STATE / "host-before.json").exists():
            HostBefore.observe().write(STATE / "host-before.json")
        self._forget_last_boot()
        RUN.mkdir(parents=True, exist_ok=True)
        self._cgroups.create()
        if missing := self._cgroups.missing():
            raise ClusterError(f"pods can get no cgroup controller {', '.join(missing)} here; {OTHER_WAYS}")
        network.ensure()
        configuration = network.cni_configuration(RUN / "cni", network.default_mtu())
        write_file(self._parts.containerd.cni_conf / "10-qgjob.conflist", json.dumps(configuration, indent=2))

    def _forget_last_boot(self) -> None:
        """Sockets and namespaces of before a restart of the machine lead nowhere."""
        file = STATE / "boot-id"
        if file.exists() and file.read_text() != current_boot_id():
            self._report.say("the machine was restarted: starting the cluster again, with its data")
            unmount_everything_under(RUN)
            run(["rm", "-rf", "--one-file-system", RUN])
        file.write_text(current_boot_id())

    def _start(self) -> None:
        parts = self._parts
        containerd, etcd, apiserver = parts.containerd.daemon(), parts.plane.etcd(), parts.plane.apiserver()
        for daemon in (containerd, etcd):
            self._begin(daemon)
        self._ensure(etcd)
        self._ensure(apiserver)
        others = (parts.plane.controller_manager(), parts.plane.scheduler(), parts.node.proxy())
        for daemon in others:
            self._begin(daemon)
        self._ensure(containerd)
        parts.containerd.ensure_pause_image(RUN)
        for daemon in (parts.node.kubelet(), *others):
            self._ensure(daemon)
        self._wait_for_pods_to_be_welcome()

    def _begin(self, daemon: Daemon) -> bool:
        """Start a program unless it runs as it should; tell whether it was left running."""
        if self._supervisor.is_current(daemon):
            return True
        self._report.say(f"starting {daemon.name}")
        self._supervisor.stop(daemon)
        self._kill_strays(daemon)
        _require_free_ports(daemon)
        self._supervisor.start(daemon)
        return False

    def _ensure(self, daemon: Daemon) -> None:
        """Have a program run and answer; one that runs but stays mute is started again."""
        was_running = self._begin(daemon)
        try:
            self._supervisor.wait_healthy(daemon, RECOVERY_SECONDS if was_running else START_TIMEOUT_SECONDS)
        except ClusterError:
            if not was_running:
                raise
            self._supervisor.stop(daemon)
            self._begin(daemon)
            self._supervisor.wait_healthy(daemon, START_TIMEOUT_SECONDS)

    def _kill_strays(self, daemon: Daemon) -> None:
        """End what an `up` that was killed in the wrong moment has started but not written down."""
        program = Path(daemon.argv[0]).resolve()
        for pid in self._cgroups.daemons():
            with suppress(OSError):
                if Path(f"/proc/{pid}/exe").resolve() == program and (found := ProcessIdentity.of(pid)):
                    found.signal(9)

    def _wait_for_pods_to_be_welcome(self) -> None:
        """The node must be ready, and the namespace `default` have its service account."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        client = self._parts.plane.client()
        while True:
            complaint = self._parts.node.complaint()
            if complaint is None:
                try:
                    client.get("/api/v1/namespaces/default/serviceaccounts/default")
                except (ApiError, OSError) as error:
                    complaint = str(error)
                else:
                    return
            if time.monotonic() > deadline:
                log = self._supervisor.log_of(self._parts.node.kubelet())
                raise ClusterError(f"the node is not ready: {complaint}; the kubelet's log is {log}")
            time.sleep(0.1)

    def _kill_everything(self) -> None:
        self._cgroups.kill_everything()
        # A process whose start was interrupted before it joined the cgroup.
        for record in (STATE / "processes").glob("*.json"):
            self._supervisor.kill(record.stem)

    def _remove_traces_in_shared_folders(self) -> None:
        """Remove what kubelet, containerd and its shims put where they cannot be told to put it elsewhere."""
        for link in Path("/var/log/containers").glob("*.log"):
            if link.is_symlink() and link.readlink().is_relative_to(self._parts.node.pod_logs):
                link.unlink()
        sandboxes = self._parts.containerd.sandboxes()
        for result in Path("/var/lib/cni/results").glob("*"):
            if any(sandbox in result.name for sandbox in sandboxes):
                result.unlink()
        in_use = Path("/proc/net/unix").read_text()
        folders = (Path("/run/containerd/s"), Path("/var/lib/kubelet/device-plugins"))
        for path in (each for folder in folders for each in folder.glob("*")):
            if path.is_socket() and str(path) not in in_use:
                path.unlink()

    def _give_kubeconfig_to_sudo_user(self) -> None:
        """Whoever typed `sudo hack/cluster up` shall use the cluster without sudo."""
        owner, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
        if owner and group:
            os.chown(self._parts.plane.admin_kubeconfig, int(owner), int(group))


def _require_root(command: str) -> None:
    if sys.platform != "linux":
        raise ClusterError(f"the local cluster needs Linux: use a Linux machine, {OTHER_WAYS}")
    if os.geteuid() != 0:
        raise ClusterError(f"the local cluster needs root: sudo hack/cluster {command}, {OTHER_WAYS}")


def _require_overlay() -> None:
    """Containers' file systems are layers laid over each other."""
    filesystems = Path("/proc/filesystems")
    if "overlay" not in filesystems.read_text().split():
        succeeds(["modprobe", "overlay"])
    if "overlay" not in filesystems.read_text().split():
        raise ClusterError(f"the kernel offers no overlay file system (modprobe overlay fails); {OTHER_WAYS}")


def _require_free_ports(daemon: Daemon) -> None:
    for address, port in daemon.listens:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise ClusterError(
                    f"{daemon.name} cannot listen on {address}:{port} ({error.strerror}); "
                    f"`ss -ltnp sport = :{port}` says who does"
                ) from error
