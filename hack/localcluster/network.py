"""The cluster's own network on this machine: a bridge, what the CNI plugins are told, packet filter rules.

The API server and the kubelet listen on the bridge's own address: pods reach them, other machines do not.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from hack.localcluster import iptables
from hack.localcluster.controlplane import SERVICE_CIDR
from hack.localcluster.errors import ClusterError
from hack.localcluster.shell import find_program, run, succeeds

BRIDGE = "qgjob0"
POD_CIDR = "10.244.0.0/16"
GATEWAY = "10.244.0.1"
# Without a fixed one the bridge takes over a pod's address, and open connections stall when that pod ends.
BRIDGE_MAC = "0a:58:0a:f4:00:01"
CNI_PLUGINS = ("bridge", "host-local", "loopback")
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
OWN_CHAINS = "QGJOB-"
KUBE_CHAINS = "KUBE-"
SYSCTLS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}

# Only for machines whose firewall forbids by default; where all is allowed they change nothing.
FILTER_RULES = {
    "nat": {
        # What leaves for the world does so in this machine's name. (Rules as iptables-save writes them.)
        "POSTROUTING QGJOB-POSTROUTING": [f"-s {POD_CIDR} ! -d {POD_CIDR} -j MASQUERADE"],
    },
    "filter": {
        "INPUT QGJOB-INPUT": [f"-d {GATEWAY}/32 -i {BRIDGE} -p tcp -m tcp --dport 6443 -j ACCEPT"],
        "FORWARD QGJOB-FORWARD": [
            f"-i {BRIDGE} -j ACCEPT",
            f"-o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ],
    },
}


def cni_folder() -> Path | None:
    """Return the folder of the CNI plugins; None where they are missing."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in CNI_PLUGINS):
            return folder
    return None


def cni_configuration(leases: Path, mtu: int) -> dict[str, Any]:
    """Return what containerd tells the CNI plugins. Addresses that are taken are kept in the folder `leases`.

    No port mappings: pods have no host ports here. What `ipMasq` would do for each pod is done once by
    FILTER_RULES, which makes pods start faster and leaves nothing behind.
    """
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself by its service
        "mtu": mtu,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_CIDR, "gateway": GATEWAY}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(leases),
        },
    }
    return {"cniVersion": "0.4.0", "name": "qgjob", "plugins": [bridge]}


def check_addresses_are_free() -> None:
    """Raise ClusterError when this machine already routes the cluster's addresses somewhere else."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    if foreign := overlapping_route(routes):
        raise ClusterError(
            f"this machine already routes {foreign}, but the local cluster needs {POD_CIDR} and "
            f"{SERVICE_CIDR}: take that route away, or name another cluster with --kubeconfig"
        )


def overlapping_route(routes: list[dict[str, Any]]) -> str | None:
    """Return the first route that leads into the cluster's addresses and is not ours."""
    ours = [ipaddress.ip_network(cidr) for cidr in (POD_CIDR, SERVICE_CIDR)]
    for route in routes:
        destination = route.get("dst", "default")
        if destination == "default" or route.get("dev") == BRIDGE:
            continue
        network = ipaddress.ip_network(destination, strict=False)
        if network.prefixlen > 0 and any(network.overlaps(own) for own in ours):
            return f"{destination} ({route.get('dev', 'no device')})"
    return None


def is_up() -> bool:
    """Tell whether bridge, rules and kernel settings are as they should be."""
    links = json.loads(run(["ip", "-json", "address", "show"]))
    addresses = {
        entry.get("local")
        for link in links
        if link["ifname"] == BRIDGE and "UP" in link["flags"]
        for entry in link["addr_info"]
    }
    return (
        GATEWAY in addresses
        and all(read_sysctl(name) == value for name, value in SYSCTLS.items())
        and iptables.holds(run(["iptables-save"]), FILTER_RULES)
    )


def ensure() -> None:
    """Create the bridge and the rules. Raises ClusterError with what the kernel lacks."""
    if not Path("/proc/sys/net/bridge").exists():
        succeeds(["modprobe", "br_netfilter"])
    if not Path("/proc/sys/net/bridge").exists():
        raise ClusterError(
            "the kernel lacks br_netfilter, which services need (`modprobe br_netfilter` fails)"
        )
    if not _has_bridge():
        check_addresses_are_free()
        run(["ip", "link", "add", "name", BRIDGE, "address", BRIDGE_MAC, "type", "bridge"])
    run(["ip", "address", "replace", f"{GATEWAY}/{POD_CIDR.split('/')[1]}", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    for name, value in SYSCTLS.items():
        if read_sysctl(name) != value:
            write_sysctl(name, value)
    saved = run(["iptables-save"])
    if not iptables.holds(saved, FILTER_RULES):
        _restore("iptables-restore", iptables.removal(saved, (OWN_CHAINS,)))
        _restore("iptables-restore", iptables.addition(FILTER_RULES))


def remove(*, keep_kube_chains: bool) -> None:
    """Remove the bridge and all rules, ours and kube-proxy's."""
    prefixes = (OWN_CHAINS,) if keep_kube_chains else (OWN_CHAINS, KUBE_CHAINS)
    for family in ("iptables", "ip6tables"):
        if find_program(f"{family}-save"):
            # A kernel without IPv6 filtering has nothing of ours either.
            saved = run([f"{family}-save"]) if succeeds([f"{family}-save"]) else ""
            _restore(f"{family}-restore", iptables.removal(saved, prefixes))
    if _has_bridge():
        run(["ip", "link", "delete", BRIDGE])


def has_kube_chains() -> bool:
    """Tell whether packet filter chains of some kube-proxy are there."""
    return any(
        chain.startswith(KUBE_CHAINS)
        for lines in iptables.parse_save(run(["iptables-save"])).values()
        for chain in iptables.chains_of(lines)
    )


def default_mtu() -> int:
    """Return the packet size of the link to the world, in bytes, so that pods send nothing larger."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]))
    if not routes:
        return 1500
    return int(json.loads(run(["ip", "-json", "link", "show", "dev", routes[0]["dev"]]))[0]["mtu"])


def read_sysctl(name: str) -> str | None:
    """Return a kernel setting, given as `net/ipv4/ip_forward`; None where this kernel has none such."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def write_sysctl(name: str, value: str) -> None:
    """Change a kernel setting. Raises ClusterError when the kernel refuses."""
    try:
        Path("/proc/sys", name).write_text(value)
    except OSError as error:
        raise ClusterError(f"the kernel setting {name} cannot be set to {value}: {error.strerror}") from error


def _has_bridge() -> bool:
    return succeeds(["ip", "link", "show", "dev", BRIDGE])


def _restore(program: str, rules: str) -> None:
    if rules:
        run([program, "--wait", "10", "--noflush"], stdin=rules)
