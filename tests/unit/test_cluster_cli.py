"""What a person reads when they type `hack/cluster`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.localcluster import debian
from hack.localcluster.cli import main, protect_kubectl_arguments, table
from hack.localcluster.cluster import ComponentStatus

PROGRAM = Path(__file__).parents[2] / "hack" / "cluster"


def test_status_is_a_table() -> None:
    components = [
        ComponentStatus("etcd", healthy=True, pid=4711),
        ComponentStatus("node", healthy=False, detail="it is tainted"),
    ]
    assert table(components) == [
        "COMPONENT   PID  HEALTH",
        "etcd       4711  ok",
        "node          -  not well: it is tainted",
    ]


def test_the_kubeconfigs_path_is_all_that_is_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").touch()
    assert main(["kubeconfig", "--kubeconfig", str(tmp_path / "config")]) == 0
    assert capsys.readouterr() == (f"{tmp_path / 'config'}\n", "")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("get pods -n x", "-- get pods -n x"),
        ("-n x get pods", "-- -n x get pods"),
        ("--context=staging -n x get pods", "--context=staging -- -n x get pods"),
        ("--provider local get --kubeconfig f", "--provider local -- get --kubeconfig f"),
        ("-- -n x get pods", "-- -n x get pods"),
    ],
)
def test_kubectl_gets_its_own_options(typed: str, understood: str) -> None:
    assert protect_kubectl_arguments(["kubectl", *typed.split()]) == ["kubectl", *understood.split()]


def test_down_leaves_a_named_cluster_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--kubeconfig", str(tmp_path / "config")]) == 0
    assert capsys.readouterr().err == "the cluster that you named is yours: nothing was changed\n"


def test_an_error_is_one_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--provider", "kind", "--context", "staging"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "give one of them" in captured.err


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("command", ["up", "down"])
def test_without_root_a_person_is_told_the_ways_out(command: str) -> None:
    # Given as text: that user may not be able to read this folder.
    script = f"""
import os, sys
sys.path.insert(0, {str(PROGRAM.parent.parent)!r})
from hack.localcluster.cli import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main([{command!r}, "--provider", "local"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"hack/cluster: the local cluster needs root: sudo hack/cluster {command}, "
        "or start Docker, or name a cluster with --kubeconfig\n"
    )


def test_missing_packages_are_named_as_debian_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hack.localcluster.shell.SYSTEM_PATH", "/nowhere")
    monkeypatch.setattr("hack.localcluster.network.CNI_FOLDERS", ())
    missing = debian.missing_packages()
    assert debian.install_hint(missing).endswith(
        "apt-get install containerd runc iptables iproute2 openssl mount containernetworking-plugins"
    )


def test_status_as_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "ada", "user": {"token": "secret"}}],
                "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "ada"}}],
                "current-context": "gone",
            }
        )
    )
    assert main(["status", "--output", "json", "--kubeconfig", str(kubeconfig)]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["healthy"]) == ("named", False)
    assert "127.0.0.1:1" in answer["components"][0]["detail"]
