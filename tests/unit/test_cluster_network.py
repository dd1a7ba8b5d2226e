"""The cluster's network must not take addresses that the machine already routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.localcluster.network import overlapping_route
from hack.localcluster.node import name_servers, resolv_conf, why_not_ready

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.244.7.0/24", "dev": "flannel.1"},
        {"dst": "10.96.0.1", "dev": "tun0"},
        {"dst": "10.0.0.0/8", "dev": "vpn0"},
    ],
)
def test_a_route_into_the_clusters_addresses_is_in_the_way(route: dict[str, str]) -> None:
    assert overlapping_route([route]) == f"{route['dst']} ({route['dev']})"


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "dev": "eth0"},
        {"dst": "0.0.0.0/0", "dev": "eth0"},
        {"dst": "192.168.1.0/24", "dev": "eth0"},
        {"dst": "10.244.0.0/16", "dev": "qgjob0"},
    ],
)
def test_other_routes_and_our_own_are_not(route: dict[str, str]) -> None:
    assert overlapping_route([route]) is None


def test_pods_get_no_name_server_on_loopback_where_a_better_one_is_known(tmp_path: Path) -> None:
    resolved, usual = tmp_path / "systemd-resolved", tmp_path / "resolv.conf"
    usual.touch()
    assert resolv_conf([resolved, usual]) == str(usual)
    resolved.touch()
    assert resolv_conf([resolved, usual]) == str(resolved)


def test_a_machine_without_name_servers_has_pods_without_them(tmp_path: Path) -> None:
    assert resolv_conf([tmp_path / "resolv.conf"]) == ""


def test_a_node_is_ready_when_it_says_so_and_nothing_keeps_pods_away() -> None:
    node = {"spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert why_not_ready(node) is None


def test_the_kubelets_reason_for_not_being_ready_is_passed_on() -> None:
    condition = {"type": "Ready", "status": "False", "message": "container runtime network not ready"}
    node = {"spec": {}, "status": {"conditions": [condition]}}
    assert why_not_ready(node) == "container runtime network not ready"


def test_a_taint_keeps_pods_away_from_a_ready_node() -> None:
    node = {
        "spec": {"taints": [{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert why_not_ready(node) == "it is tainted: node.kubernetes.io/disk-pressure"


def test_pods_get_the_name_servers_that_they_can_reach(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# made by hand\nsearch example.com\nnameserver 127.0.0.53\nnameserver 192.0.2.7\nnameserver fd00::1\n"
    )

    assert name_servers(str(path)) == ["192.0.2.7", "fd00::1"]


def test_without_a_resolv_conf_there_are_no_name_servers() -> None:
    assert name_servers("") == []
