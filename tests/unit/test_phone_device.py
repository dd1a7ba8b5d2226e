"""The phone's state: installs, sessions that overlap, faults, and its shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.phone import apk, apps, faults, shell, shop, uiautomator
from hack.phone.device import AUTOMATION, Device
from hack.phone.journal import Journal

if TYPE_CHECKING:
    from hack.phone.faults import Fault


def app(version: str) -> bytes:
    package = apps.package(version)
    assert package is not None
    return package


@pytest.fixture
def device() -> Device:
    device = Device(Journal(None))
    for name in (AUTOMATION, AUTOMATION + ".test"):
        device.install(apk.make({"package": name}), client="pod-1")
    return device


def kinds(device: Device) -> list[str]:
    return [event["event"] for event in device.journal.events]


def test_installs_are_counted_by_package(device: Device) -> None:
    device.install(app("1.4.0"), client="pod-1")
    device.install(app("1.5.0"), client="pod-1")

    assert device.state()["installs"][shop.PACKAGE] == 2
    assert device.state()["packages"][shop.PACKAGE]["version"] == "1.5.0"


@pytest.mark.parametrize(
    ("installed", "version", "fault", "failure"),
    [
        ("1.4.0", "1.3.0", "none", "INSTALL_FAILED_VERSION_DOWNGRADE"),
        ("1.4.0", "1.5.0-uninstallable", "none", "INSTALL_FAILED_OLDER_SDK"),
        ("1.4.0", "1.5.0", "install", "INSTALL_FAILED_INSUFFICIENT_STORAGE"),
        ("1.4.0", "1.5.0", "install:INSTALL_FAILED_ABORTED", "INSTALL_FAILED_ABORTED"),
    ],
)
def test_refusals_leave_what_was_installed(
    device: Device, installed: str, version: str, fault: str, failure: str
) -> None:
    device.install(app(installed), client="pod-1")
    device.set_fault(faults.parse(fault))

    answer = device.install(app(version), client="pod-1")

    assert answer.startswith(f"Failure [{failure}")
    assert device.state()["packages"][shop.PACKAGE]["version"] == installed


def test_clearing_an_app_removes_its_data_and_ends_it(device: Device) -> None:
    device.install(app("1.4.0"), client="pod-1")
    device.start(f"{shop.PACKAGE}/.MainActivity", client="pod-1", stop_first=False)
    assert device.state()["packages"][shop.PACKAGE]["data"]["launches"] == 1

    assert shell.run(device, f"pm clear {shop.PACKAGE}", client="pod-1") == (0, "Success\n")

    assert device.state()["packages"][shop.PACKAGE]["data"] == {}
    assert shell.run(device, f"pidof {shop.PACKAGE}", client="pod-1") == (1, "")


async def test_a_second_session_while_one_lives_is_an_overlap(device: Device) -> None:
    device.instrument(client="pod-1")
    device.open_session(client="pod-1")
    device.open_session(client="pod-2")

    assert device.state()["overlaps"] == 1
    assert [e["reason"] for e in device.journal.events if e["event"] == "session-end"] == ["replaced"]


async def test_taking_the_phone_from_a_running_test_is_an_overlap(device: Device) -> None:
    device.instrument(client="pod-1")
    device.open_session(client="pod-1")
    device.stop(AUTOMATION, client="pod-2")

    assert device.state()["overlaps"] == 1


async def test_one_session_after_the_other_is_none(device: Device) -> None:
    for pod in ("pod-1", "pod-2"):
        device.instrument(client=pod)
        session = device.open_session(client=pod)
        uiautomator.answer(device, "DELETE", f"/session/{session.id}", {}, client=pod)
        device.stop(AUTOMATION, client=pod)

    assert device.state()["overlaps"] == 0
    assert kinds(device).count("session-start") == 2


def test_a_fault_can_wait_for_some_commands(device: Device) -> None:
    begun: list[Fault] = []
    device.on_fault = begun.append
    device.set_fault(faults.parse("vanish-after:2"))

    for _ in range(2):
        device.command_answered()
    assert begun == []
    device.command_answered()

    assert [fault.kind for fault in begun] == ["vanish"]


def test_an_unknown_fault_lists_the_known_ones() -> None:
    with pytest.raises(faults.UnknownFaultError, match="vanish"):
        faults.parse("explode")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("[ -e '/no' ] && echo __PASS__", (1, "")),
        ("[ -e /no ] || echo missing", (0, "missing\n")),
        ("echo a; echo 'b ; c'", (0, "a\nb ; c\n")),
        ("settings put global x 1; settings get global x", (0, "1\n")),
        ("getprop sys.boot_completed", (0, "1\n")),
        ("frobnicate", (127, "/system/bin/sh: frobnicate: inaccessible or not found\n")),
    ],
)
def test_shell_lines(device: Device, line: str, answer: tuple[int, str]) -> None:
    assert shell.run(device, line, client="pod-1") == answer
