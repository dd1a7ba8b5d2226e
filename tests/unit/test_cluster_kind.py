"""What kind is told. Fake programs stand for engine and kind: neither runs where there is no engine."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hack.localcluster.errors import ClusterError
from hack.localcluster.kind import KindCluster, kubeconfig_path
from hack.localcluster.report import Report

FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> {journal}
case "$(basename "$0") $*" in
    "kind get clusters") cat {clusters} ;;
    "kind create cluster"*) echo qgjob > {clusters}; touch "$6" ;;
esac
"""


class Machine:
    """A machine with docker, kind and kubectl on its PATH; it writes down what they were told."""

    def __init__(self, directory: Path) -> None:
        self._journal = directory / "journal"
        self._clusters = directory / "clusters"
        self._clusters.touch()
        for name in ("docker", "kind", "kubectl"):
            program = directory / name
            program.write_text(FAKE.format(journal=self._journal, clusters=self._clusters))
            program.chmod(0o755)

    def has_cluster(self) -> None:
        self._clusters.write_text("another\nqgjob\n")
        kubeconfig_path().parent.mkdir(parents=True, exist_ok=True)
        kubeconfig_path().touch()

    def told(self, program: str) -> list[str]:
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        return [line for line in lines if line.startswith(program) and line != "kind get clusters"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in ("QGJOB_CACHE", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Machine(tmp_path)


@pytest.fixture
def cluster(machine: Machine) -> KindCluster:
    return KindCluster(Report(io.StringIO()), "docker")


def test_up_creates_the_cluster_with_a_kubeconfig_of_our_own(machine: Machine, cluster: KindCluster) -> None:
    cluster.up()
    assert machine.told("kind") == [
        f"kind create cluster --name qgjob --kubeconfig {kubeconfig_path()} --wait 120s"
    ]
    assert not (Path.home() / ".kube").exists()


def test_up_starts_a_cluster_that_a_restart_of_the_machine_has_stopped(
    machine: Machine, cluster: KindCluster
) -> None:
    machine.has_cluster()
    cluster.up()
    assert machine.told("docker") == ["docker start qgjob-control-plane"]
    assert machine.told("kind") == [f"kind export kubeconfig --name qgjob --kubeconfig {kubeconfig_path()}"]


def test_down_deletes_only_our_cluster(machine: Machine, cluster: KindCluster) -> None:
    machine.has_cluster()
    cluster.down()
    assert machine.told("kind") == [f"kind delete cluster --name qgjob --kubeconfig {kubeconfig_path()}"]
    assert not kubeconfig_path().exists()


def test_down_without_a_cluster_deletes_nothing(machine: Machine, cluster: KindCluster) -> None:
    cluster.down()
    assert machine.told("kind") == []


def test_status_tells_whether_the_api_server_answers(machine: Machine, cluster: KindCluster) -> None:
    assert cluster.status() == []
    machine.has_cluster()
    assert [(part.name, part.healthy) for part in cluster.status()] == [("kube-apiserver", True)]


def test_images_are_loaded_into_our_cluster(machine: Machine, cluster: KindCluster) -> None:
    cluster.load([Path("runner.tar")])
    assert machine.told("kind") == ["kind load image-archive runner.tar --name qgjob"]


def test_before_up_there_is_no_kubeconfig(cluster: KindCluster) -> None:
    with pytest.raises(ClusterError, match="`hack/cluster up` makes one"):
        cluster.kubeconfig()
