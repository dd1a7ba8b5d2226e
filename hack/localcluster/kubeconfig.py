"""Writing kubeconfig files. They hold their certificates inline, so that one file is all a client needs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from hack.localcluster.files import PRIVATE, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.certificates import KeyPair


def write_kubeconfig(
    path: Path,
    *,
    server: str,
    authority: Path,
    user: str,
    client: KeyPair | None = None,
    token: str | None = None,
    namespace: str = "default",
    cluster: str = "qgjob",
) -> Path:
    """Write a kubeconfig, for a client certificate or a token, that only its owner can read; return its path.

    It is JSON, which is YAML too: the standard library writes no other YAML.
    """
    credentials: dict[str, Any] = {}
    if client is not None:
        credentials["client-certificate-data"] = _inline(client.certificate)
        credentials["client-key-data"] = _inline(client.key)
    if token is not None:
        credentials["token"] = token
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _inline(authority)}}
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [
            {"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": namespace}}
        ],
        "current-context": cluster,
    }
    return write_file(path, json.dumps(content, indent=2) + "\n", PRIVATE)


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
