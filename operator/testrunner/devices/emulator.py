"""Waiting for a batch's own emulator: its container starts with the runner's, and Android boots in it for minutes.

A phone of a pool runs before anybody asks for it; what is said of one (devices.preflight) comes sooner.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from qgjob.api.constants import EMULATOR_NOT_BOOTED

from ..drivers.base import InfrastructureError, Stopped
from . import adb as adb_module
from .adb import AdbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qgjob.api.providers import Emulator

    from ..stop import StopToken
    from .adb import Adb

#: What it waits for is told so often, and when it changes.
TELL_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 1.0


def await_emulator(adb: Adb, emulator: Emulator, stop: StopToken, log: Callable[[str], None]) -> None:
    """Wait until its adb answers, Android has booted, and apps can be installed; the log says what is missing.

    Raises InfrastructureError (EmulatorNotBooted after emulator.boot_seconds), Stopped.
    """
    began = time.monotonic()
    told = float("-inf")
    before = ""
    while missing := _missing(adb, emulator.boot_seconds - (time.monotonic() - began), stop):
        waited = time.monotonic() - began
        if waited > emulator.boot_seconds:
            raise _not_booted(emulator, missing)
        if missing != before or waited - told >= TELL_SECONDS:
            log(
                f"waiting for the emulator, {waited:.0f} of {emulator.boot_seconds} s (bootSeconds): {missing}"
            )
            told, before = waited, missing
        if stop.wait(_AGAIN_SECONDS):
            raise Stopped(stop.reason)
    log(f"the emulator was ready after {time.monotonic() - began:.0f} s")


def _missing(adb: Adb, left: float, stop: StopToken) -> str:
    """What it waits for now, in words; empty where nothing is missing."""
    seconds = max(_AGAIN_SECONDS, min(left, adb_module.COMMAND_SECONDS))
    if said := adb.try_to_connect(stop, seconds):
        if "refused" in said:
            return f"nothing listens at {adb.address} yet"
        return f"{adb.address} is open, but adb gets no answer there, or is offline ({said})"
    try:
        if adb.shell("getprop", "sys.boot_completed", seconds=seconds, stop=stop).strip() != "1":
            return "adb answers, Android is booting (sys.boot_completed is not 1)"
    except AdbError as error:
        return f"adb answers, Android does not yet ({error})"
    try:
        packages = adb.shell("pm", "path", "android", seconds=seconds, stop=stop)
    except AdbError as error:
        packages = str(error)
    # It may come some seconds later, and an install would fail until then.
    return (
        ""
        if "package:" in packages
        else f"Android has booted, but not its package manager ({packages.strip()})"
    )


def _not_booted(emulator: Emulator, missing: str) -> InfrastructureError:
    return InfrastructureError(
        f"the emulator has not booted within {emulator.boot_seconds} s (the TestTarget's "
        f"provider.emulator.bootSeconds): {missing}. Look at what its container says (kubectl logs POD -c emulator): "
        f"whether image {emulator.image} serves adb on port {emulator.port}, whether it has memory and CPUs enough "
        "and a KVM device (resources, privileged), and whether it only needs more bootSeconds",
        device_lost=True,
        reason=EMULATOR_NOT_BOOTED,
    )
