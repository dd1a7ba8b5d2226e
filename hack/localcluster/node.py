"""What the kubelet and kube-proxy of the one node are told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.localcluster import network
from hack.localcluster.certificates import Identity
from hack.localcluster.controlplane import CLIENT_BURST, CLIENT_QPS, HEALTH_TIMEOUT_SECONDS, LOOPBACK
from hack.localcluster.daemons import Daemon, NotHealthyError
from hack.localcluster.files import write_file
from hack.localcluster.programs import KUBERNETES
from hack.localcluster.rest import ApiClient, ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hack.localcluster.certificates import KeyPair
    from hack.localcluster.controlplane import ControlPlane

NODE = "qgjob"
KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256
PROXY_METRICS_PORT = 10249
# Where systemd-resolved has the first one, the second names a server on loopback, which pods cannot reach.
RESOLV_CONFS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


@dataclass(frozen=True)
class Node:
    """The node: its own folder, the control plane it belongs to, its containers' runtime and cgroup."""

    directory: Path
    plane: ControlPlane
    runtime_endpoint: str
    cgroup_root: str  # as an absolute path in the cgroup tree

    @property
    def pod_logs(self) -> Path:
        """Where the kubelet keeps what containers print."""
        return self.directory / "pod-logs"

    def prepare(self) -> None:
        """Write certificates, kubeconfigs and configuration files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.plane.component_kubeconfig("kubelet", Identity(f"system:node:{NODE}", ("system:nodes",)))
        self.plane.component_kubeconfig("kube-proxy", Identity("system:kube-proxy"))
        write_file(self._kubelet_file, json.dumps(self._kubelet_configuration(), indent=2))
        write_file(self._proxy_file, json.dumps(self._proxy_configuration(), indent=2))

    def kubelet(self) -> Daemon:
        """Return the kubelet."""
        serving = self._serving
        return Daemon(
            "kubelet",
            (
                str(KUBERNETES.path("kubelet")),
                f"--config={self._kubelet_file}",
                f"--kubeconfig={self._kubeconfig('kubelet')}",
                f"--root-dir={self.directory / 'kubelet'}",
                f"--cert-dir={self.directory / 'kubelet-pki'}",
                f"--hostname-override={NODE}",
                f"--node-ip={network.GATEWAY}",
            ),
            check=_answers(f"http://{LOOPBACK}:{KUBELET_HEALTH_PORT}"),
            files=(self._kubelet_file, self._kubeconfig("kubelet"), serving.certificate),
            listens=((network.GATEWAY, KUBELET_PORT), (LOOPBACK, KUBELET_HEALTH_PORT)),
            grace_seconds=3,
        )

    def proxy(self) -> Daemon:
        """Return kube-proxy, which makes ClusterIPs lead to pods."""
        return Daemon(
            "kube-proxy",
            (
                str(KUBERNETES.path("kube-proxy")),
                f"--config={self._proxy_file}",
                f"--hostname-override={NODE}",
            ),
            check=_answers(f"http://{LOOPBACK}:{PROXY_HEALTH_PORT}"),
            files=(self._proxy_file, self._kubeconfig("kube-proxy")),
            listens=((LOOPBACK, PROXY_HEALTH_PORT), (LOOPBACK, PROXY_METRICS_PORT)),
            grace_seconds=2,
        )

    def complaint(self) -> str | None:
        """Say why pods cannot run on the node now; None when they can."""
        try:
            node = self.plane.client(timeout_seconds=HEALTH_TIMEOUT_SECONDS).get(f"/api/v1/nodes/{NODE}")
        except (ApiError, OSError) as error:
            return str(error)
        if why := why_not_ready(node):
            return why
        return None

    def _kubelet_configuration(self) -> dict[str, Any]:
        serving = self._serving
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": self.runtime_endpoint,
            "address": network.GATEWAY,
            "port": KUBELET_PORT,
            "readOnlyPort": 0,
            "healthzBindAddress": LOOPBACK,
            "healthzPort": KUBELET_HEALTH_PORT,
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.plane.authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup_root,
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "oomScoreAdj": 0,
            "maxPods": 110,
            "kubeAPIQPS": CLIENT_QPS,
            "kubeAPIBurst": CLIENT_BURST,
            "eventRecordQPS": 0,
            "resolvConf": resolv_conf(),
            # There is no cluster DNS. Named as such, the machine's own name servers serve pods just as they would
            # anyway; without a name the kubelet complains by some Events at each pod.
            "clusterDNS": name_servers(resolv_conf()),
            "podLogsDir": str(self.pod_logs),
            "volumePluginDir": str(self.directory / "volume-plugins"),
            "staticPodPath": "",
            # kube-proxy makes the chains it needs; the kubelet's own are for others.
            "makeIPTablesUtilChains": False,
            # The disk is the developer's: that it is nearly full is no reason to evict pods or delete images.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            # Images are loaded by hand and cannot be pulled again.
            "imageMaximumGCAge": "0s",
        }

    def _proxy_configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {
                "kubeconfig": str(self._kubeconfig("kube-proxy")),
                "qps": CLIENT_QPS,
                "burst": CLIENT_BURST,
            },
            "mode": "iptables",
            "clusterCIDR": network.POD_CIDR,
            "healthzBindAddress": f"{LOOPBACK}:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": f"{LOOPBACK}:{PROXY_METRICS_PORT}",
            "nodePortAddresses": ["primary"],
            "oomScoreAdj": 0,
            # The machine's own settings stay as they are.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "iptables": {"localhostNodePorts": False},
        }

    @property
    def _serving(self) -> KeyPair:
        return self.plane.authority.issue("kubelet-serving", Identity(NODE, hosts=(NODE, network.GATEWAY)))

    @property
    def _kubelet_file(self) -> Path:
        return self.directory / "kubelet.json"

    @property
    def _proxy_file(self) -> Path:
        return self.directory / "kube-proxy.json"

    def _kubeconfig(self, component: str) -> Path:
        return self.plane.directory / f"{component}.kubeconfig"


def why_not_ready(node: dict[str, Any]) -> str | None:
    """Say why no pod is started on a node, from its object; None when pods are."""
    ready = next((each for each in node["status"].get("conditions", []) if each["type"] == "Ready"), None)
    if ready is None or ready["status"] != "True":
        return (
            str(ready["message"])
            if ready and ready.get("message")
            else "the kubelet has not said it is ready"
        )
    taints = [taint["key"] for taint in node["spec"].get("taints", [])]
    return f"it is tainted: {', '.join(taints)}" if taints else None


def resolv_conf(candidates: Sequence[Path] = RESOLV_CONFS) -> str:
    """Return the file that pods get their name servers from; empty where there is none, which means none."""
    return next((str(path) for path in candidates if path.exists()), "")


def name_servers(path: str) -> list[str]:
    """Return the name servers that a resolv.conf gives and that pods can reach too."""
    if not path:
        return []
    lines = (line.split() for line in Path(path).read_text().splitlines())
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return [server for server in servers if not ip_address(server.partition("%")[0]).is_loopback]


def _answers(url: str) -> Callable[[], None]:
    client = ApiClient(url, timeout_seconds=HEALTH_TIMEOUT_SECONDS)

    def check() -> None:
        try:
            client.get("/healthz")
        except ApiError as error:
            raise NotHealthyError(str(error).splitlines()[0]) from error

    return check
