"""Whether a device is fit for a batch, asked before an app is spent on it: it answers, has booted, has space.

Each answer of no has a reason of its own, which the operator counts against the device (DEVICE_REASONS).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from qgjob.api.constants import DEVICE_NOT_BOOTED, DEVICE_STORAGE_FULL

from ..drivers.base import InfrastructureError, Stopped
from . import adb as adb_module
from .adb import AdbError
from .emulator import await_emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from qgjob.api.testtarget import TestTargetSpec

    from ..stop import StopToken
    from .adb import Adb

#: How long a device that answers may take until it has booted.
BOOT_SECONDS: Final = 120.0
#: Connecting and booting share so much of the target's installSeconds: what takes longer must say so itself, before
#: the runner's own time limit cuts it off without a word on the device.
_SHARE: Final = 0.8
_AGAIN_SECONDS: Final = 1.0
_KILOBYTES: Final = re.compile(r"\s\d+\s+\d+\s+(-?\d+)\s+\d+%")


def make_ready(adb: Adb, target: TestTargetSpec, stop: StopToken, log: Callable[[str], None]) -> None:
    """Connect a device of a pool, or a batch's own emulator, and see that it can take a batch.

    Raises InfrastructureError (device_lost, with a reason of DEVICE_REASONS or EmulatorNotBooted), Stopped.
    """
    if (emulator := target.provider.emulator) is not None:
        await_emulator(adb, emulator, stop, log)
    else:
        _await_device(adb, target, stop, log)
    adb.remember_boot()
    require_space(adb, target.health.min_free_megabytes, log)


def _await_device(adb: Adb, target: TestTargetSpec, stop: StopToken, log: Callable[[str], None]) -> None:
    limit = target.timeouts.install_seconds * _SHARE
    began = time.monotonic()
    adb.connect(stop, min(adb_module.CONNECT_SECONDS, limit))
    wait_until_booted(adb, min(BOOT_SECONDS, limit - (time.monotonic() - began)), stop, log)


def wait_until_booted(adb: Adb, seconds: float, stop: StopToken, log: Callable[[str], None]) -> None:
    """Wait until the device says that it has booted. Its adb daemon may be restarted meanwhile.

    Raises InfrastructureError (DeviceNotBooted after `seconds`, DeviceOffline), Stopped.
    """
    deadline = time.monotonic() + seconds
    waited = False
    while not _has_booted(adb, deadline, stop):
        if time.monotonic() > deadline:
            raise InfrastructureError(
                f"device {adb.name} ({adb.address}) answers, but has not booted within {seconds:.0f} s: "
                "look at its screen, restart it",
                device_lost=True,
                reason=DEVICE_NOT_BOOTED,
            )
        if not waited:
            log(f"{adb.name} ({adb.address}) is still booting")
        waited = True
        if stop.wait(_AGAIN_SECONDS):
            raise Stopped(stop.reason)


def require_space(adb: Adb, megabytes: int, log: Callable[[str], None]) -> None:
    """Raises InfrastructureError (DeviceStorageFull) where /data has less free space, DeviceLost where it is gone.

    A device that can't tell is taken as it is.
    """
    try:
        said = adb.shell("df", "-k", "/data")
    except AdbError as error:
        if lost := adb.probe():
            raise adb.lost(lost) from error
        said = str(error)
    free = free_megabytes(said)
    if free is None:
        log(f"{adb.name} does not tell how much space it has: {' '.join(said.split())[:200]}")
    elif free < megabytes:
        raise InfrastructureError(
            f"device {adb.name} ({adb.address}) has {free} MB free in /data, less than the {megabytes} MB of "
            "the TestTarget's health.minFreeMegabytes: remove apps and files from it",
            device_lost=True,
            reason=DEVICE_STORAGE_FULL,
        )


def free_megabytes(df: str) -> int | None:
    """The free space in what `df -k` prints; None where it does not tell."""
    found = _KILOBYTES.search(df)
    return int(found[1]) // 1024 if found else None


def _has_booted(adb: Adb, deadline: float, stop: StopToken) -> bool:
    try:
        return adb.shell("getprop", "sys.boot_completed").strip() == "1"
    except AdbError:
        adb.connect(stop, min(adb_module.CONNECT_SECONDS, max(deadline - time.monotonic(), 0.0)))
        return False
