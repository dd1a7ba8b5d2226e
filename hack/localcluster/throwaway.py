"""A real etcd and API server for tests: there in seconds, alone, and gone without a trace. Needs no root.

It has certificates, RBAC and service account tokens like any cluster, but no node: pods never run.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hack.localcluster.certificates import Identity
from hack.localcluster.controlplane import LOOPBACK, ControlPlane, Ports
from hack.localcluster.daemons import Daemon, Supervisor
from hack.localcluster.kubeconfig import write_kubeconfig
from hack.localcluster.programs import CONTROL_PLANE, ensure_built
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.localcluster.certificates import KeyPair
    from hack.localcluster.rest import ApiClient

# From a range for documentation (RFC 5737): the API server refuses loopback, and no pod will use it.
UNUSED_ADDRESS = "198.51.100.1"
START_TIMEOUT_SECONDS = 60.0
# The kernel kills the programs when the test run ends, even if that is killed itself.
ENDS_WITH_THE_TEST_RUN = ("setpriv", "--pdeathsig", "KILL", "--")


class ThrowawayControlPlane:
    """An API server on a free loopback port, its data in a temporary folder. Use it as a context manager."""

    def __init__(self, report: Report | None = None) -> None:
        self._report = report or Report()
        self._directory = Path(tempfile.mkdtemp(prefix="qgjob-apiserver-"))
        ports = Ports(*_free_ports(5))
        self._plane = ControlPlane(
            self._directory, LOOPBACK, advertise_address=UNUSED_ADDRESS, ports=ports, durable=False
        )
        self._supervisor = Supervisor(
            self._directory / "processes", self._directory / "logs", launcher=ENDS_WITH_THE_TEST_RUN
        )
        self._extras: list[Daemon] = []

    def __enter__(self) -> Self:
        """Build what is missing, and start."""
        try:
            ensure_built(CONTROL_PLANE, self._report)
            self._plane.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its data."""
        self.close()

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._plane.url

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with every right."""
        return self._plane.admin_kubeconfig

    @property
    def ca_file(self) -> Path:
        """The authority that the API server's certificate is checked against."""
        return self._plane.authority.certificate

    @property
    def client(self) -> ApiClient:
        """A plain client with every right, for arranging tests."""
        return self._plane.client()

    @property
    def logs(self) -> Path:
        """The folder of the programs' logs."""
        return self._directory / "logs"

    def start(self) -> None:
        """Start it, and wait until it is ready; harmless when it runs."""
        for daemon in (self._plane.etcd(), self._plane.apiserver(), *self._extras):
            self._ensure(daemon)

    def stop(self) -> None:
        """Let it be away as after a crash; its data are kept for the next start()."""
        for daemon in (*self._extras, self._plane.apiserver(), self._plane.etcd()):
            self._supervisor.kill(daemon.name)

    def start_controller_manager(self) -> None:
        """Run kube-controller-manager too: Jobs make pods, owners are followed, namespaces get accounts."""
        daemon = self._plane.controller_manager()
        if daemon.name not in {extra.name for extra in self._extras}:
            self._extras.append(daemon)
        self._ensure(daemon)

    def stop_controller_manager(self) -> None:
        """End it again; what it has made stays."""
        daemon = self._plane.controller_manager()
        self._extras = [extra for extra in self._extras if extra.name != daemon.name]
        self._supervisor.stop(daemon)

    def close(self) -> None:
        """Stop it and remove its data."""
        if (self._directory / "pki").exists():
            self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def kubeconfig_for_user(
        self, name: str, groups: Sequence[str] = (), *, namespace: str = "default"
    ) -> Path:
        """Write a kubeconfig for a person, known by certificate, with no rights but what RBAC gives."""
        identity = Identity(name, organizations=tuple(groups))
        pair = self._plane.authority.issue(f"user-{_file_name(name)}", identity)
        return write_kubeconfig(
            self._directory / f"user-{_file_name(name)}.kubeconfig",
            server=self.url,
            authority=self.ca_file,
            user=name,
            client=pair,
            namespace=namespace,
        )

    def certificate_for_server(self, name: str, *hosts: str) -> KeyPair:
        """Return a certificate that the API server trusts, for a server that a test plays (a kubelet)."""
        return self._plane.authority.issue(f"server-{_file_name(name)}", Identity(name, hosts=hosts))

    def token_for_service_account(self, namespace: str, name: str, *, pod: str | None = None) -> str:
        """Return a token as the kubelet would hand it to a pod; with `pod`, bound to that existing pod."""
        spec: dict[str, Any] = {"expirationSeconds": 3600}
        if pod is not None:
            uid = self.client.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["metadata"]["uid"]
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
        answer = self.client.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        return str(answer["status"]["token"])

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, pod: str | None = None) -> Path:
        """Write a kubeconfig for an existing service account; with `pod`, its token is bound to that pod."""
        suffix = f"-{pod}" if pod else ""
        return write_kubeconfig(
            self._directory / f"account-{namespace}-{name}{suffix}.kubeconfig",
            server=self.url,
            authority=self.ca_file,
            user=name,
            token=self.token_for_service_account(namespace, name, pod=pod),
            namespace=namespace,
        )

    def _ensure(self, daemon: Daemon) -> None:
        if self._supervisor.process_of(daemon.name) is None:
            self._supervisor.start(daemon)
        self._supervisor.wait_healthy(daemon, START_TIMEOUT_SECONDS)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _file_name(name: str) -> str:
    return name.replace(":", "-").replace("/", "-")
