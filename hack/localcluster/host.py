"""What the machine was like before the cluster, so that `down` can leave it like that."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.localcluster import network
from hack.localcluster.files import write_file

# The kubelet and our network change these.
CHANGED_SYSCTLS = (
    *network.SYSCTLS,
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Programs make these wherever they are told to keep their things.
SHARED_FOLDERS = (
    Path("/var/log/containers"),
    Path("/var/lib/cni/results"),
    Path("/var/lib/cni"),
    Path("/var/lib/kubelet/device-plugins"),
    Path("/var/lib/kubelet/pod-resources"),
    Path("/var/lib/kubelet"),
    Path("/run/containerd/s"),
    Path("/run/containerd/fifo"),
    Path("/run/containerd"),
)


@dataclass(frozen=True)
class HostBefore:
    """The machine's state before the first `up`."""

    sysctls: dict[str, str]
    folders: list[str]  # those of SHARED_FOLDERS that were there
    kube_chains: bool  # some other kube-proxy's rules were there

    @classmethod
    def observe(cls) -> HostBefore:
        """Look at the machine."""
        values = {name: network.read_sysctl(name) for name in CHANGED_SYSCTLS}
        return cls(
            sysctls={name: value for name, value in values.items() if value is not None},
            folders=[str(folder) for folder in SHARED_FOLDERS if folder.exists()],
            kube_chains=network.has_kube_chains(),
        )

    @classmethod
    def read(cls, path: Path) -> HostBefore | None:
        """Read what an earlier `up` observed; None where there was none."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Keep it for `down`."""
        write_file(path, json.dumps(asdict(self), indent=2))

    def restore_sysctls(self) -> None:
        """Set the kernel's settings back."""
        for name, value in self.sysctls.items():
            if network.read_sysctl(name) not in (value, None):
                network.write_sysctl(name, value)

    def remove_new_folders(self) -> None:
        """Remove the shared folders that were not there, unless somebody else has put something into them."""
        for folder in SHARED_FOLDERS:
            if str(folder) not in self.folders and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
