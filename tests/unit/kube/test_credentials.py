"""Credentials that are renewed while the operator runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from testqueue.kube.credentials import (
    TOKEN_REREAD_SECONDS,
    CredentialsError,
    KubeconfigCredentials,
    ServiceAccountCredentials,
)

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's service account."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("old\n")
    return tmp_path


def test_a_pods_token_is_read_again_each_minute(folder: Path) -> None:
    clock = Clock()
    credentials = ServiceAccountCredentials(folder, clock)
    assert credentials.current().token == "old"
    (folder / "token").write_text("new")

    assert credentials.current().token == "old"
    clock.now = TOKEN_REREAD_SECONDS
    assert credentials.current().token == "new"


def test_a_refused_token_is_read_again_at_once(folder: Path) -> None:
    credentials = ServiceAccountCredentials(folder, Clock())
    assert credentials.current().token == "old"
    (folder / "token").write_text("new")

    assert credentials.current(renew=True).token == "new"


def test_an_unchanged_token_keeps_the_connections(folder: Path) -> None:
    credentials = ServiceAccountCredentials(folder, Clock())

    assert credentials.current() is credentials.current(renew=True)


def test_a_kubeconfigs_token_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig("old"))
    credentials = KubeconfigCredentials(str(path))
    assert credentials.current().as_http_headers() == {"Authorization": "Bearer old"}
    path.write_text(kubeconfig("new"))

    assert credentials.current(renew=True).as_http_headers() == {"Authorization": "Bearer new"}


@pytest.mark.parametrize(("text", "context"), [(": no yaml", ""), ("{}", ""), ("GOOD", "missing")])
def test_a_kubeconfig_that_cannot_be_used_is_an_error_of_one_line(
    tmp_path: Path, text: str, context: str
) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig("t") if text == "GOOD" else text)

    with pytest.raises(CredentialsError) as caught:
        KubeconfigCredentials(str(path), context).current()

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def kubeconfig(token: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
    )
