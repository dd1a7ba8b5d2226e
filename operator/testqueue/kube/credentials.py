"""Who the operator is to the API server: a kubeconfig, or the pod's own service account.

Both become kopf's ConnectionInfo, so that kopf and our own session are the same user.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import kopf

from testqueue.settings import SERVICE_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

#: The kubelet renews a pod's token well before its end; client-go, too, reads the file again each minute.
TOKEN_REREAD_SECONDS: Final = 60.0


class CredentialsError(Exception):
    """There are no usable credentials; the text says what to do."""


class Credentials(Protocol):
    """Where a session gets its credentials from."""

    def current(self, *, renew: bool = False) -> kopf.ConnectionInfo:
        """Return the credentials to use now; with `renew`, the last ones were refused.

        Raises CredentialsError.
        """
        ...


class KubeconfigCredentials:
    """A kubeconfig's context, with whatever it needs: tokens, certificates, exec plugins, OIDC."""

    def __init__(self, path: str, context: str = "") -> None:
        self._path = str(Path(path).expanduser())
        self._context = context
        self._info: kopf.ConnectionInfo | None = None

    def current(self, *, renew: bool = False) -> kopf.ConnectionInfo:
        """See Credentials. A renewal reads the file again, which also runs its plugins again."""
        if self._info is None or renew:
            self._info = self._load()
        return self._info

    def _load(self) -> kopf.ConnectionInfo:
        # In a pod there is no kubeconfig, and the image does without this large package.
        import yaml
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_kube_config

        configuration: Any = Configuration()
        try:
            load_kube_config(self._path, self._context or None, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError, yaml.YAMLError) as error:
            raise CredentialsError(f"kubeconfig {self._path}: {_one_line(error)}") from error
        header = (
            configuration.get_api_key_with_prefix("BearerToken")
            or configuration.get_api_key_with_prefix("authorization")
            or ""
        )
        scheme, _, token = header.rpartition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host.rstrip("/"),
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            username=configuration.username or None,
            password=configuration.password or None,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            proxy_url=configuration.proxy or None,
        )


class ServiceAccountCredentials:
    """The service account of the pod that this process runs in."""

    def __init__(self, folder: Path = SERVICE_ACCOUNT, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._info: kopf.ConnectionInfo | None = None
        self._read_at = 0.0

    def current(self, *, renew: bool = False) -> kopf.ConnectionInfo:
        """See Credentials. The token's file is read again each minute, for the kubelet renews it."""
        now = self._clock()
        if self._info is None or renew or now - self._read_at >= TOKEN_REREAD_SECONDS:
            loaded = self._load()
            if loaded != self._info:  # else the same object stays, and with it the open connections
                self._info = loaded
            self._read_at = now
        return self._info

    def _load(self) -> kopf.ConnectionInfo:
        try:
            token = (self._folder / "token").read_text().strip()
        except OSError as error:
            raise CredentialsError(f"the pod's service account token: {_one_line(error)}") from error
        return kopf.ConnectionInfo(server=_server(), ca_path=str(self._folder / "ca.crt"), token=token)


def credentials(kubeconfig: str, context: str) -> Credentials:
    """Return what the settings name: a kubeconfig's context, else the pod's service account."""
    return KubeconfigCredentials(kubeconfig, context) if kubeconfig else ServiceAccountCredentials()


def _server() -> str:
    # By address, as all in-cluster clients do it: a cluster need not have DNS.
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST", ""),
        os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    if not host:
        raise CredentialsError("KUBERNETES_SERVICE_HOST is not set: is this a pod?")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
