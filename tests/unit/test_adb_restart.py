"""A device that was started anew is another one, as far as tests care."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testrunner.devices.adb import Adb

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "6f0a4b0e-9d0a-4a8e-8f0e-0123456789ab\n1203", "11111111-2222-3333-4444-555555555555\n1203"
ANDROID_ANEW = "6f0a4b0e-9d0a-4a8e-8f0e-0123456789ab\n7044"


class Phone:
    """An adb in the place of the real one, which answers what a phone would."""

    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        self._program = folder / "adb"
        self._program.write_text(f'#!/bin/sh\ncat "{self._answer}"\n')
        self._program.chmod(0o755)
        self.answers(FIRST)
        self.adb = Adb("10.0.0.1:5555", "pixel", environment={"PATH": f"{folder}:/bin:/usr/bin"}, log=print)

    def answers(self, text: str) -> None:
        self._answer.write_text(f"{text}\n")


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    # subprocess looks for programs along its own process' path.
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return Phone(tmp_path)


def test_a_phone_that_goes_on_is_well(phone: Phone) -> None:
    phone.adb.remember_boot()

    assert phone.adb.probe() == ""


@pytest.mark.parametrize("said", [SECOND, ANDROID_ANEW])
def test_one_that_was_restarted_is_lost(phone: Phone, said: str) -> None:
    phone.adb.remember_boot()
    phone.answers(said)

    assert "was restarted" in phone.adb.probe()


@pytest.mark.parametrize(
    "said", ["cat: /proc/sys/kernel/random/boot_id: Permission denied\nunknown\nunknown", ""]
)
def test_one_that_does_not_tell_is_taken_as_it_is(phone: Phone, said: str) -> None:
    phone.answers(said)
    phone.adb.remember_boot()
    phone.answers(SECOND)

    assert phone.adb.probe() == ""

    phone.adb.remember_boot()
    phone.answers(said)

    assert phone.adb.probe() == ""
