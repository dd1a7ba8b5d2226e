"""What comes from the distribution: installed where that is possible, named where it is not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hack.localcluster import network
from hack.localcluster.errors import ClusterError
from hack.localcluster.locks import exclusive
from hack.localcluster.places import cache_directory
from hack.localcluster.report import Report
from hack.localcluster.shell import find_program, run, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence

# Program → the Debian package that has it.
PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    "mount": "mount",
    "umount": "mount",
}
CNI_PACKAGE = "containernetworking-plugins"
INSTALL_TIMEOUT_SECONDS = 900


def missing_packages() -> list[str]:
    """Return the packages whose programs the local cluster needs and this machine lacks."""
    packages = [package for program, package in PROGRAMS.items() if find_program(program) is None]
    if network.cni_folder() is None:
        packages.append(CNI_PACKAGE)
    return list(dict.fromkeys(packages))


def can_install() -> bool:
    """Tell whether packages can be installed here without asking anyone."""
    return os.geteuid() == 0 and find_program("apt-get") is not None


def install(packages: list[str]) -> None:
    """Install the local cluster's packages. Raises ClusterError when programs are missing nonetheless."""
    install_packages(packages)
    if still := missing_packages():
        raise ClusterError(
            f"programs are still missing after installing {' '.join(packages)}: see {' '.join(still)}"
        )


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages; never removes one. Raises ClusterError when that fails."""
    argv = [
        *("apt-get", "-q", "-y", "--no-install-recommends", "--no-remove"),
        *("-o", "DPkg::Lock::Timeout=120", "install", *packages),
    ]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    # apt itself does not wait while another one reads the package lists.
    with exclusive(cache_directory() / "apt.lock", Report(), doing="installing packages"):
        try:
            run(argv, env=environment, timeout=INSTALL_TIMEOUT_SECONDS)
        except ClusterError:
            # Most often the package lists are missing or stale.
            succeeds(["apt-get", "-q", "update"], timeout=INSTALL_TIMEOUT_SECONDS)
            run(argv, env=environment, timeout=INSTALL_TIMEOUT_SECONDS)


def install_hint(packages: list[str]) -> str:
    """Say in one line what to install."""
    return f"the local cluster needs these packages (Debian's names): apt-get install {' '.join(packages)}"
