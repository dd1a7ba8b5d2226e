"""Reading kubeconfigs, and a pod's own account."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.client import config
from qgjob.client.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(path: Path, user: Any = None, **cluster: Any) -> Path:
    """One context `main` in namespace `ci`; in JSON, which is YAML too."""
    document = {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "ci"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:8001", **cluster}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
    }
    path.write_text(json.dumps(document))
    return path


def test_the_current_context_is_read(tmp_path: Path) -> None:
    settings = config.from_kubeconfig(str(kubeconfig(tmp_path / "config")))

    assert settings.server == "http://127.0.0.1:8001"
    assert settings.namespace == "ci"
    assert settings.credentials.authorization() == "Bearer secret"


def test_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "current-context: x\n"
        "contexts: [{name: x, context: {cluster: c}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://h:1/'}}]\n"
    )

    settings = config.from_kubeconfig(str(path))

    assert (settings.server, settings.namespace) == ("http://h:1", "default")
    assert settings.credentials.authorization() is None


def test_the_files_of_kubeconfig_are_merged_and_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "context").write_text("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n")
    (tmp_path / "near").write_text("clusters: [{name: c, cluster: {server: 'http://near:1'}}]\n")
    (tmp_path / "far").write_text("clusters: [{name: c, cluster: {server: 'http://far:1'}}]\n")
    names = ("context", "missing", "near", "far")
    monkeypatch.setenv("KUBECONFIG", ":".join(str(tmp_path / name) for name in names))

    assert config.from_kubeconfig().server == "http://near:1"


def test_a_token_file_beside_the_kubeconfig_is_found(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")

    settings = config.from_kubeconfig(str(kubeconfig(tmp_path / "config", user={"tokenFile": "token"})))

    assert settings.credentials.authorization() == "Bearer from-file"


def test_a_password_is_sent_as_basic_authentication(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"username": "ann", "password": "pw"})

    assert config.from_kubeconfig(str(path)).credentials.authorization() == "Basic YW5uOnB3"


def test_impersonation_is_a_header(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", user={"token": "t", "as": "ann"})

    assert config.from_kubeconfig(str(path)).headers == {"Impersonate-User": "ann"}


def test_a_login_plugin_is_run(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    plugin.write_text(f"#!{sys.executable}\nprint('''{json.dumps(credential)}''')\n")
    plugin.chmod(0o755)
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }

    settings = config.from_kubeconfig(str(kubeconfig(tmp_path / "config", user={"exec": login})))

    assert settings.credentials.authorization() == "Bearer from-plugin"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("a: [", "not valid YAML"),
        ("contexts: []", "has no current context: choose one with --context"),
        ("current-context: x", "has no context 'x' (it has: none)"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
            "context 'x' names cluster 'c', which isn't there",
        ),
        (
            (
                "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
                "clusters: [{name: c, cluster: {}}]"
            ),
            "has no usable server address",
        ),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(ConfigError) as refusal:
        config.from_kubeconfig(str(path))

    assert words in str(refusal.value)


def test_broken_certificates_are_told(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"server": "https://h:1", "certificate-authority-data": "no base64!"}
    path = kubeconfig(tmp_path / "config", **settings)

    with pytest.raises(ConfigError, match="certificate-authority-data is not valid base64"):
        config.from_kubeconfig(str(path))


def test_a_missing_kubeconfig_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))

    with pytest.raises(ConfigError, match=r"no kubeconfig at .*/nowhere"):
        config.from_kubeconfig()


def test_outside_a_pod_there_is_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigError, match="not in a pod"):
        config.in_cluster(tmp_path)
