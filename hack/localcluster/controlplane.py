"""What etcd, the API server, the controller manager and the scheduler are told, and who trusts whom."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hack.localcluster.certificates import CertificateAuthority, Identity, KeyPair, ensure_signing_key
from hack.localcluster.daemons import Daemon, NotHealthyError
from hack.localcluster.files import write_file
from hack.localcluster.kubeconfig import write_kubeconfig
from hack.localcluster.programs import ETCD, KUBERNETES
from hack.localcluster.rest import ApiClient, ApiError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOPBACK = "127.0.0.1"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE_IP = "10.96.0.1"  # the first address of SERVICE_CIDR: the API server, as pods see it
ISSUER = "https://kubernetes.default.svc.cluster.local"

# The controllers' default of 20 requests a second caps Jobs at 3.4/s; the machine is theirs alone.
CLIENT_QPS = 500
CLIENT_BURST = 1000

HEALTH_TIMEOUT_SECONDS = 3


@dataclass(frozen=True)
class Ports:
    """The TCP ports that the control plane listens on. All but the API server's are on loopback."""

    apiserver: int = 6443
    etcd: int = 23790
    etcd_peer: int = 23800
    controller_manager: int = 10257
    scheduler: int = 10259


@dataclass(frozen=True)
class ControlPlane:
    """One control plane, which keeps everything it has in one folder."""

    directory: Path
    host: str  # the one address that the API server listens on
    advertise_address: str  # where the service `kubernetes` leads; Kubernetes refuses loopback here
    ports: Ports = Ports()
    # False: what was written survives the end of etcd, but not a power cut. Much faster where disks are slow.
    durable: bool = True

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://{self.host}:{self.ports.apiserver}"

    @property
    def authority(self) -> CertificateAuthority:
        """The authority that servers and clients of the cluster are signed by."""
        return CertificateAuthority(self.directory / "pki", "ca")

    @property
    def admin_kubeconfig(self) -> Path:
        """The kubeconfig of the person who owns the cluster."""
        return self.directory / "admin.kubeconfig"

    def prepare(self) -> None:
        """Make every key, certificate and kubeconfig that is missing."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.authority.ensure()
        self._etcd_authority.ensure()
        ensure_signing_key(self._signing_key)
        self._write_kubeconfig(self.admin_kubeconfig, self._admin)
        for component in ("kube-controller-manager", "kube-scheduler"):
            self.component_kubeconfig(component, Identity(f"system:{component}"))
        scheduler = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {
                "kubeconfig": str(self._kubeconfig("kube-scheduler")),
                "qps": CLIENT_QPS,
                "burst": CLIENT_BURST,
            },
            "leaderElection": {"leaderElect": False},
        }
        write_file(self._scheduler_config, json.dumps(scheduler, indent=2))

    def component_kubeconfig(self, component: str, identity: Identity) -> Path:
        """Write the kubeconfig of one of the cluster's own programs, and return its path."""
        return self._write_kubeconfig(
            self._kubeconfig(component), self.authority.issue(component, identity), user=identity.common_name
        )

    def client(self, timeout_seconds: float = 10) -> ApiClient:
        """Return a client for the API server, with the owner's rights."""
        return ApiClient(
            self.url,
            authority=self.authority.certificate,
            client=self._admin,
            timeout_seconds=timeout_seconds,
        )

    def etcd(self) -> Daemon:
        """Return etcd: on loopback, and only for the one client that its own authority has signed."""
        server = self._etcd_authority.issue("etcd", Identity("etcd", hosts=(LOOPBACK, "localhost")))
        url = f"https://{LOOPBACK}:{self.ports.etcd}"
        peer_url = f"https://{LOOPBACK}:{self.ports.etcd_peer}"
        flags = {
            "name": "default",
            "data-dir": self.directory / "etcd",
            "listen-client-urls": url,
            "advertise-client-urls": url,
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "initial-cluster": f"default={peer_url}",
            "cert-file": server.certificate,
            "key-file": server.key,
            "trusted-ca-file": self._etcd_authority.certificate,
            "client-cert-auth": True,
            "peer-cert-file": server.certificate,
            "peer-key-file": server.key,
            "peer-trusted-ca-file": self._etcd_authority.certificate,
            "peer-client-cert-auth": True,
            "quota-backend-bytes": 8 * 1024**3,
            "log-level": "warn",
            "unsafe-no-fsync": not self.durable,
        }
        health = ApiClient(
            url,
            authority=self._etcd_authority.certificate,
            client=self._etcd_client,
            timeout_seconds=HEALTH_TIMEOUT_SECONDS,
        )
        return Daemon(
            "etcd",
            (str(ETCD.path("etcd")), *_flags(flags)),
            check=_answers(health, "/health"),
            files=(server.certificate, self._etcd_authority.certificate),
            listens=((LOOPBACK, self.ports.etcd), (LOOPBACK, self.ports.etcd_peer)),
            grace_seconds=3,
        )

    def apiserver(self) -> Daemon:
        """Return the API server: certificates both ways, RBAC, and tokens for service accounts."""
        serving = self.authority.issue(
            "kube-apiserver",
            Identity(
                "kube-apiserver",
                hosts=tuple(
                    dict.fromkeys(
                        (
                            *(self.host, LOOPBACK, KUBERNETES_SERVICE_IP, "localhost"),
                            *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
                            "kubernetes.default.svc.cluster.local",
                        )
                    )
                ),
            ),
        )
        # system:masters, because no built-in binding gives a user the rights that a kubelet asks for.
        to_kubelet = self.authority.issue(
            "kubelet-client", Identity("kube-apiserver-kubelet-client", organizations=("system:masters",))
        )
        flags = {
            "etcd-servers": f"https://{LOOPBACK}:{self.ports.etcd}",
            "etcd-cafile": self._etcd_authority.certificate,
            "etcd-certfile": self._etcd_client.certificate,
            "etcd-keyfile": self._etcd_client.key,
            "bind-address": self.host,
            "secure-port": self.ports.apiserver,
            "advertise-address": self.advertise_address,
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
            "client-ca-file": self.authority.certificate,
            "anonymous-auth": False,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "service-account-issuer": ISSUER,
            "service-account-key-file": self._signing_key,
            "service-account-signing-key-file": self._signing_key,
            "service-cluster-ip-range": SERVICE_CIDR,
            "allow-privileged": True,
            "kubelet-preferred-address-types": "InternalIP",
            "kubelet-certificate-authority": self.authority.certificate,
            "kubelet-client-certificate": to_kubelet.certificate,
            "kubelet-client-key": to_kubelet.key,
        }
        return Daemon(
            "kube-apiserver",
            (str(KUBERNETES.path("kube-apiserver")), *_flags(flags)),
            check=_answers(self.client(timeout_seconds=HEALTH_TIMEOUT_SECONDS), "/readyz"),
            files=(
                *(serving.certificate, to_kubelet.certificate, self._etcd_client.certificate),
                *(self.authority.certificate, self._etcd_authority.certificate, self._signing_key),
            ),
            listens=((self.host, self.ports.apiserver),),
            # With open watches it would take a minute to end; whatever it acknowledged is safe in etcd.
            grace_seconds=1,
        )

    def controller_manager(self) -> Daemon:
        """Return the controller manager: Jobs, garbage collection, service accounts and the like."""
        kubeconfig = self._kubeconfig("kube-controller-manager")
        serving = self._loopback_serving
        flags = {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOOPBACK,
            "secure-port": self.ports.controller_manager,
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
            "leader-elect": False,
            "use-service-account-credentials": True,
            "service-account-private-key-file": self._signing_key,
            "root-ca-file": self.authority.certificate,
            "kube-api-qps": CLIENT_QPS,
            "kube-api-burst": CLIENT_BURST,
            "concurrent-job-syncs": 20,
            "node-monitor-period": "2s",
        }
        return Daemon(
            "kube-controller-manager",
            (str(KUBERNETES.path("kube-controller-manager")), *_flags(flags)),
            check=self._loopback_check(self.ports.controller_manager),
            files=(kubeconfig, serving.certificate, self._signing_key),
            listens=((LOOPBACK, self.ports.controller_manager),),
            grace_seconds=2,
        )

    def scheduler(self) -> Daemon:
        """Return the scheduler."""
        kubeconfig = self._kubeconfig("kube-scheduler")
        serving = self._loopback_serving
        flags = {
            "config": self._scheduler_config,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOOPBACK,
            "secure-port": self.ports.scheduler,
            "tls-cert-file": serving.certificate,
            "tls-private-key-file": serving.key,
        }
        return Daemon(
            "kube-scheduler",
            (str(KUBERNETES.path("kube-scheduler")), *_flags(flags)),
            check=self._loopback_check(self.ports.scheduler),
            files=(kubeconfig, serving.certificate, self._scheduler_config),
            listens=((LOOPBACK, self.ports.scheduler),),
            grace_seconds=2,
        )

    @property
    def _etcd_authority(self) -> CertificateAuthority:
        # An authority of its own: whoever the cluster's authority signs may not read etcd for that.
        return CertificateAuthority(self.directory / "pki-etcd", "etcd-ca")

    @property
    def _etcd_client(self) -> KeyPair:
        return self._etcd_authority.issue("kube-apiserver", Identity("kube-apiserver"))

    @property
    def _admin(self) -> KeyPair:
        return self.authority.issue("admin", Identity("kubernetes-admin", organizations=("system:masters",)))

    @property
    def _loopback_serving(self) -> KeyPair:
        return self.authority.issue("loopback", Identity("loopback", hosts=(LOOPBACK, "localhost")))

    @property
    def _signing_key(self) -> Path:
        return self.directory / "pki" / "service-accounts.key"

    @property
    def _scheduler_config(self) -> Path:
        return self.directory / "kube-scheduler.json"

    def _kubeconfig(self, component: str) -> Path:
        return self.directory / f"{component}.kubeconfig"

    def _write_kubeconfig(self, path: Path, client: KeyPair, user: str = "kubernetes-admin") -> Path:
        return write_kubeconfig(
            path, server=self.url, authority=self.authority.certificate, user=user, client=client
        )

    def _loopback_check(self, port: int) -> Callable[[], None]:
        client = ApiClient(
            f"https://{LOOPBACK}:{port}",
            authority=self.authority.certificate,
            timeout_seconds=HEALTH_TIMEOUT_SECONDS,
        )
        return _answers(client, "/healthz")


def _flags(flags: dict[str, Any]) -> list[str]:
    """Write flags the way Go's programs read them: `--name=value`, and true or false in lower case."""
    written = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in flags.items()
    }
    return [f"--{name}={value}" for name, value in written.items()]


def _answers(client: ApiClient, path: str) -> Callable[[], None]:
    """Return a health check: a GET that must succeed."""

    def check() -> None:
        try:
            client.get(path)
        except ApiError as error:
            raise NotHealthyError(str(error).splitlines()[0]) from error

    return check
