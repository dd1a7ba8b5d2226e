"""`qgjob targets`, its `drain` and `undrain`, and what `qgjob status` says of a target without a healthy device."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import API_VERSION, TEST_TARGETS

if TYPE_CHECKING:
    from tests.apiserver.cli_support import Cli, Operator


def create_target(operator: Operator) -> None:
    devices = [{"name": "pixel-1", "address": "h:5555"}, {"name": "pixel-2", "address": "h:5556"}]
    command = {"name": "command", "command": {"test": ["true"]}}
    spec = {"provider": {"devices": devices}, "driver": command}
    body = {"apiVersion": API_VERSION, "kind": "TestTarget", "metadata": {"name": "phones"}, "spec": spec}
    operator.client.create(TEST_TARGETS, body)
    status: dict[str, Any] = {
        "slots": 2,
        "running": 1,
        "waiting": 7,
        "devices": [{"name": "pixel-1", "state": "Busy", "batch": "tb-1"}, {"name": "pixel-2"}],
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Provisioned",
                "message": "",
                "lastTransitionTime": "2026-03-01T12:00:00Z",
            }
        ],
    }
    operator.client.patch(TEST_TARGETS, "phones", {"status": status}, kind="merge", subresource="status")


def test_targets_are_listed_and_shown_with_their_devices(cli: Cli, operator: Operator) -> None:
    create_target(operator)

    [row] = cli.run("targets").json
    one = cli.run("targets", "phones", "-o", "table").stdout

    assert (row["name"], row["driver"], row["provider"]) == ("phones", "command", "devices")
    assert (row["slots"], row["running"], row["waiting"], row["ready"]) == (2, 1, 7, "True")
    assert [(device["name"], device["state"]) for device in row["devices"]] == [
        ("pixel-1", "Busy"),
        ("pixel-2", "Free"),
    ]
    assert "pixel-1  h:5555   Busy          tb-1" in one


def test_an_unknown_target_is_told(cli: Cli) -> None:
    answer = cli.run("targets", "nope")

    assert answer.code == 2
    assert "no target 'nope' in this namespace" in answer.stderr


def devices(operator: Operator) -> dict[str, bool]:
    """Which devices the spec says are drained."""
    spec = operator.client.get(TEST_TARGETS, "phones")["spec"]
    return {device["name"]: device["drained"] for device in spec["provider"]["devices"]}


def test_a_device_is_drained_and_put_back(cli: Cli, operator: Operator) -> None:
    create_target(operator)

    answer = cli.run("targets", "drain", "phones", "pixel-2")
    assert (answer.code, answer.json["drained"]) == (0, True)
    assert "takes no new batch" in answer.json["details"]
    assert devices(operator) == {"pixel-1": False, "pixel-2": True}

    assert "takes batches again" in cli.run("targets", "undrain", "phones", "pixel-2", "-o", "table").stdout
    assert devices(operator) == {"pixel-1": False, "pixel-2": False}


def test_a_drained_device_that_is_busy_says_what_is_waited_for(cli: Cli, operator: Operator) -> None:
    create_target(operator)

    assert "once tb-1 is over" in cli.run("targets", "drain", "phones", "pixel-1").json["details"]


def test_to_drain_twice_is_to_drain_once(cli: Cli, operator: Operator) -> None:
    create_target(operator)
    cli.run("targets", "drain", "phones", "pixel-1")
    before = operator.client.get(TEST_TARGETS, "phones")["metadata"]["resourceVersion"]

    assert cli.run("targets", "drain", "phones", "pixel-1").code == 0
    assert operator.client.get(TEST_TARGETS, "phones")["metadata"]["resourceVersion"] == before


def test_the_shared_options_stand_before_and_after_a_command_of_targets(cli: Cli, operator: Operator) -> None:
    create_target(operator)

    assert cli.run("targets", "-o", "json", "drain", "phones", "pixel-1").json["drained"]
    assert cli.run("targets", "-o", "json", "phones").json["name"] == "phones"
    assert cli.run("targets", "-o", "yaml").stdout.startswith("- name: phones")
    assert cli.run("targets", "show", "phones").json["name"] == "phones"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("phones", "pixel-9"), "target phones has no device pixel-9; it has pixel-1, pixel-2"),
        (("nope", "pixel-1"), "no target 'nope' in this namespace"),
        (("sim", "pixel-1"), "target sim has no list of devices (its provider is none)"),
        (("phones",), "Missing argument"),
    ],
)
def test_what_can_not_be_drained_is_told(
    cli: Cli, operator: Operator, arguments: tuple[str, ...], words: str
) -> None:
    create_target(operator)
    spec = {"provider": {"none": {}}, "driver": {"name": "simulate"}}
    body = {"apiVersion": API_VERSION, "kind": "TestTarget", "metadata": {"name": "sim"}, "spec": spec}
    operator.client.create(TEST_TARGETS, body)

    answer = cli.run("targets", "drain", *arguments)

    assert answer.code == 2
    assert words in answer.stderr


def test_git_is_said_to_undo_a_drain(cli: Cli, operator: Operator) -> None:
    create_target(operator)
    labels = {"kustomize.toolkit.fluxcd.io/name": "mobile"}
    operator.client.patch(TEST_TARGETS, "phones", {"metadata": {"labels": labels}}, kind="merge")

    answer = cli.run("targets", "drain", "phones", "pixel-1", "--quiet")

    assert answer.code == 0
    assert "managed by Argo CD or Flux: the next sync undoes this" in answer.stderr


def report(operator: Operator, **status: Any) -> None:
    operator.client.patch(TEST_TARGETS, "phones", {"status": status}, kind="merge", subresource="status")


def test_a_quarantined_device_shows_for_how_long_and_why(cli: Cli, operator: Operator) -> None:
    create_target(operator)
    health = {
        "failures": 3,
        "until": "2126-01-01T00:00:00Z",
        "reason": "DeviceOffline",
        "message": "device pixel-1 does not answer",
    }
    due = {"name": "pixel-2", "state": "Quarantined", "failures": 2, "until": "2026-01-01T00:00:00Z"}
    report(operator, devices=[{"name": "pixel-1", "state": "Quarantined", **health}, due])

    table = cli.run("targets", "phones", "-o", "table").stdout.splitlines()

    [shown] = [line for line in table if line.startswith("pixel-1")]
    assert re.search(r"Quarantined  for \d+ d .* 3 .* DeviceOffline  device pixel-1 does not answer", shown)
    assert any("until a test needs it" in line for line in table)
    [first, _] = cli.run("targets", "phones").json["devices"]
    assert {key: first[key] for key in health} == health


def test_a_busy_device_that_left_the_spec_is_still_shown(cli: Cli, operator: Operator) -> None:
    create_target(operator)
    report(operator, devices=[{"name": "old", "address": "h:1", "state": "Busy", "batch": "tb-1"}])

    names = [device["name"] for device in cli.run("targets", "phones").json["devices"]]

    assert names == ["pixel-1", "pixel-2", "old"]


def test_who_waits_for_a_target_without_a_healthy_device_is_told_so(cli: Cli, operator: Operator) -> None:
    create_target(operator)
    operator.create("waits")
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "NoHealthyDevice",
        "message": "no device can take a batch: pixel-1 is drained; pixel-2 is drained",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
    report(operator, conditions=[condition])

    details = cli.run("status", "waits").json["details"]

    assert details.endswith(
        "for target phones; no device can take a batch: pixel-1 is drained; pixel-2 is drained"
    )
