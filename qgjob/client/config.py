"""Which API server to talk to and how: from a kubeconfig, or from the pod that this runs in."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .credentials import Credentials, HookCredentials, StaticCredentials, TokenFile
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything needed to open a connection. `tls` is None for a plain http server (`kubectl proxy`)."""

    server: str
    namespace: str = "default"
    tls: ssl.SSLContext | None = None
    tls_server_name: str | None = None
    credentials: Credentials = field(default_factory=StaticCredentials)
    proxy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    context: str = ""


def tls_context(
    *, ca_file: str | None = None, ca_data: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """A context that trusts that CA, or the machine's own ones where none is given."""
    context = ssl.create_default_context(cafile=ca_file, cadata=ca_data)
    # Many clusters' CAs lack the extensions that the strict mode (default since Python 3.13) demands; kubectl
    # accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def in_cluster(root: Path = SERVICE_ACCOUNT) -> ServerConfig:
    """The pod's own service account."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (root / "token").exists():
        raise ConfigError("not in a pod with a service account: name a kubeconfig with --kubeconfig")
    namespace = root / "namespace"
    return ServerConfig(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default",
        tls=tls_context(ca_file=str(root / "ca.crt")),
        credentials=TokenFile(root / "token"),
    )


def is_in_cluster(root: Path = SERVICE_ACCOUNT) -> bool:
    """Whether this process runs in a pod that has a service account's token."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (root / "token").exists()


def from_kubeconfig(path: str | None = None, context: str | None = None) -> ServerConfig:
    """A context of a kubeconfig: the file named, else KUBECONFIG (one path or several), else ~/.kube/config.

    Raises:
        ConfigError: no such file or context, or a part of it that can't be read.
    """
    merged = _load(_paths(path))
    name = context or merged.current
    if not name:
        raise ConfigError(f"{merged.where} has no current context: choose one with --context")
    if name not in merged.contexts:
        known = ", ".join(sorted(merged.contexts)) or "none"
        raise ConfigError(f"{merged.where} has no context {name!r} (it has: {known})")
    chosen = merged.contexts[name].value.get("context") or {}
    cluster = merged.part("clusters", str(chosen.get("cluster", "")), name)
    user = (
        merged.part("users", str(chosen["user"]), name) if chosen.get("user") else _Part({}, cluster.folder)
    )
    settings, who = cluster.value.get("cluster") or {}, user.value.get("user") or {}
    server = str(settings.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise ConfigError(f"{merged.where}: context {name!r} has no usable server address ({server!r})")
    tls = None
    header: Credentials
    if "exec" in who or "auth-provider" in who:
        header, certificate = _by_kubernetes_package(path, name)
    else:
        header, certificate = _credentials(who, user.folder), _client_certificate(who, user.folder)
    if server.startswith("https://"):
        tls = tls_context(
            ca_file=_file(settings, "certificate-authority", cluster.folder),
            ca_data=_text(settings, "certificate-authority-data"),
            verify=not settings.get("insecure-skip-tls-verify"),
        )
        if certificate:
            _present(tls, *certificate)
    return ServerConfig(
        server=server,
        namespace=str(chosen.get("namespace") or "default"),
        tls=tls,
        tls_server_name=settings.get("tls-server-name"),
        credentials=header,
        proxy=settings.get("proxy-url"),
        headers=_impersonation(who),
        context=name,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A named entry of a kubeconfig, with the folder that its relative paths start from."""

    value: Mapping[str, Any]
    folder: Path


@dataclass(slots=True)
class _Kubeconfig:
    """Several files read as one: the first that names something wins, as kubectl does it."""

    where: str
    current: str = ""
    contexts: dict[str, _Part] = field(default_factory=dict)
    clusters: dict[str, _Part] = field(default_factory=dict)
    users: dict[str, _Part] = field(default_factory=dict)

    def part(self, kind: str, name: str, context: str) -> _Part:
        parts: dict[str, _Part] = getattr(self, kind)
        if name not in parts:
            raise ConfigError(
                f"{self.where}: context {context!r} names {kind[:-1]} {name!r}, which isn't there"
            )
        return parts[name]


def _paths(path: str | None) -> list[Path]:
    if path:
        chosen = Path(path).expanduser()
        if not chosen.exists():
            raise ConfigError(f"no kubeconfig at {chosen}")
        return [chosen]
    listed = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    candidates = listed or [Path("~/.kube/config").expanduser()]
    found = [candidate for candidate in candidates if candidate.exists()]
    if not found:
        tried = ", ".join(str(candidate) for candidate in candidates)
        raise ConfigError(f"no kubeconfig at {tried}: name one with --kubeconfig, or export KUBECONFIG")
    return found


def _load(paths: list[Path]) -> _Kubeconfig:
    merged = _Kubeconfig(where=", ".join(str(path) for path in paths))
    for path in paths:
        document = _parse(path)
        merged.current = merged.current or str(document.get("current-context") or "")
        for kind in ("contexts", "clusters", "users"):
            for entry in document.get(kind) or []:
                getattr(merged, kind).setdefault(str(entry.get("name")), _Part(entry, path.parent.absolute()))
    return merged


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't read the kubeconfig {path}: {error.strerror}") from error
    if text.lstrip().startswith("{"):
        try:
            document: Any = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"the kubeconfig {path} is not valid JSON: {error}") from error
    else:
        import yaml  # noqa: PLC0415 - costs 20 ms; a kubeconfig in JSON and a pod's own account do without

        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        except yaml.YAMLError as error:
            raise ConfigError(f"the kubeconfig {path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"the kubeconfig {path} is empty or no mapping")
    return document


def _credentials(user: Mapping[str, Any], folder: Path) -> Credentials:
    if token := user.get("token"):
        return StaticCredentials(f"Bearer {token}")
    if token_file := _file(user, "tokenFile", folder):
        return TokenFile(Path(token_file))
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return StaticCredentials(f"Basic {base64.b64encode(pair).decode()}")
    return StaticCredentials()


def _client_certificate(user: Mapping[str, Any], folder: Path) -> tuple[str, str] | None:
    """The certificate and key: paths, or PEM text (which starts with dashes)."""
    certificate = _text(user, "client-certificate-data") or _file(user, "client-certificate", folder)
    key = _text(user, "client-key-data") or _file(user, "client-key", folder)
    return (certificate, key) if certificate and key else None


def _present(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load the client certificate. The ssl module reads files only: PEM text passes through private ones."""
    with tempfile.TemporaryDirectory(prefix="qgjob-") as scratch:
        paths: list[Path] = []
        for name, value in (("tls.crt", certificate), ("tls.key", key)):
            path = Path(value)
            if value.lstrip().startswith("-----"):
                path = Path(scratch) / name
                path.touch(mode=0o600)
                path.write_text(value, encoding="utf-8")
            paths.append(path)
        try:
            tls.load_cert_chain(paths[0], paths[1])
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the kubeconfig's client certificate or key can't be used: {error}") from error


def _by_kubernetes_package(path: str | None, context: str) -> tuple[Credentials, tuple[str, str] | None]:
    """Exec plugins, OIDC and cloud logins, by the loader of the `kubernetes` package (400 ms to import)."""
    try:
        from kubernetes import client as kubernetes_client  # noqa: PLC0415
        from kubernetes import config as kubernetes_config  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "this kubeconfig logs in by a plugin, which needs: pip install kubernetes"
        ) from error
    settings = kubernetes_client.Configuration()

    def read() -> str | None:
        try:
            kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                path, context=context, client_configuration=settings
            )
        except Exception as error:
            raise ConfigError(f"the login of context {context!r} failed: {error}") from error
        # The package's older versions keep it under the alias.
        header: str | None = settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        return header

    credentials = HookCredentials(read)
    certificate = (
        (settings.cert_file, settings.key_file) if settings.cert_file and settings.key_file else None
    )
    return credentials, certificate


def _impersonation(user: Mapping[str, Any]) -> dict[str, str]:
    return {"Impersonate-User": str(user["as"])} if user.get("as") else {}


def _file(settings: Mapping[str, Any], key: str, folder: Path) -> str | None:
    value = settings.get(key)
    return str(folder / Path(str(value)).expanduser()) if value else None


def _text(settings: Mapping[str, Any], key: str) -> str | None:
    value = settings.get(key)
    if not value:
        return None
    try:
        return base64.b64decode(str(value)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"the kubeconfig's {key} is not valid base64 of PEM text: {error}") from error
