"""Which cluster `hack/cluster` means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hack.localcluster.choice import Wish, choose
from hack.localcluster.errors import ClusterError
from hack.localcluster.kind import KindCluster
from hack.localcluster.local import LocalCluster
from hack.localcluster.named import NamedCluster
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    Engine = Callable[[str, int], None]


@pytest.fixture
def no_local_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may well have one."""
    monkeypatch.setattr(LocalCluster, "exists", staticmethod(lambda: False))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Put a container engine's client on the PATH, whose every command ends with the given status."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hack.localcluster.shell.SYSTEM_PATH", "/nowhere")

    def install(name: str, status: int) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)

    return install


def test_an_exported_kubeconfig_alone_is_no_consent() -> None:
    wish = Wish.of(None, None, None, environment={"KUBECONFIG": "/home/ada/.kube/production"})
    assert not wish.names_a_cluster()


def test_a_cluster_is_named_by_our_own_variable() -> None:
    wish = Wish.of(None, None, None, environment={"QGJOB_KUBECONFIG": "/home/ada/.kube/staging"})
    assert wish.kubeconfig == "/home/ada/.kube/staging"


def test_an_option_wins_over_the_variable() -> None:
    wish = Wish.of("./mine", None, None, environment={"QGJOB_KUBECONFIG": "/home/ada/.kube/staging"})
    assert wish.kubeconfig == "./mine"


def test_to_make_a_cluster_and_to_name_one_exclude_each_other() -> None:
    with pytest.raises(ClusterError, match="give one of them"):
        Wish.of("./mine", None, "kind", environment={})


@pytest.mark.usefixtures("no_local_cluster")
def test_a_named_cluster_comes_first(engine: Engine) -> None:
    engine("docker", 0)
    assert isinstance(choose(Wish(context="staging"), Report()), NamedCluster)


@pytest.mark.usefixtures("no_local_cluster")
@pytest.mark.parametrize("name", ["docker", "podman"])
def test_where_an_engine_answers_it_is_kind(engine: Engine, name: str) -> None:
    engine(name, 0)
    assert isinstance(choose(Wish(), Report()), KindCluster)


@pytest.mark.usefixtures("no_local_cluster")
def test_a_client_without_its_engine_does_not_count(engine: Engine) -> None:
    engine("docker", 1)
    assert isinstance(choose(Wish(), Report()), LocalCluster)


def test_the_local_cluster_stays_the_one_when_an_engine_is_started_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalCluster, "exists", staticmethod(lambda: True))
    engine("docker", 0)
    assert isinstance(choose(Wish(), Report()), LocalCluster)


@pytest.mark.usefixtures("no_local_cluster")
def test_kind_without_an_engine_is_refused(engine: Engine) -> None:
    with pytest.raises(ClusterError, match="neither docker nor podman answers: start one"):
        choose(Wish(provider="kind"), Report())


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    cluster = choose(Wish(kubeconfig="/nowhere/config"), Report())
    with pytest.raises(ClusterError, match="there is no kubeconfig /nowhere/config"):
        cluster.kubeconfig()


def test_images_for_a_named_cluster_go_through_a_registry() -> None:
    cluster = choose(Wish(kubeconfig="/home/ada/.kube/staging"), Report())
    with pytest.raises(ClusterError, match=r"push runner\.tar to a registry"):
        cluster.load([Path("runner.tar")])
