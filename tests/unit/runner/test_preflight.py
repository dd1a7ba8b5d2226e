"""What a phone says of its space."""

from __future__ import annotations

import pytest

from hack.phone import faults, shell
from hack.phone.device import Device
from hack.phone.journal import Journal
from testrunner.devices.preflight import free_megabytes

TOYBOX = """\
Filesystem       1K-blocks     Used Available Use% Mounted on
/dev/block/dm-53 112892652 57245480  55516100  51% /data/user/0
"""
# BusyBox wraps what is long.
BUSYBOX = """\
Filesystem           1K-blocks      Used Available Use% Mounted on
/dev/block/platform/soc/1d84000.ufshc/by-name/userdata
                     112892652  57245480  55516100  51% /data
"""
FULL = """\
Filesystem     1K-blocks    Used Available Use% Mounted on
/dev/block/vda   6082144 6082144         0 100% /data
"""
# Android 5 and older.
TOOLBOX = """\
Filesystem               Size     Used     Free   Blksize
/data                    1.2G   745.0M   441.2M   4096
"""


@pytest.mark.parametrize(
    ("said", "megabytes"),
    [
        (TOYBOX, 54214),
        (BUSYBOX, 54214),
        (FULL, 0),
        (TOOLBOX, None),
        ("df: /data: Permission denied", None),
        ("", None),
    ],
    ids=["toybox", "busybox", "full", "toolbox", "refused", "nothing"],
)
def test_free_space_is_read_or_unknown(said: str, megabytes: int | None) -> None:
    assert free_megabytes(said) == megabytes


@pytest.mark.parametrize(
    ("fault", "megabytes"), [("none", 32_000), ("storage-full", 0), ("storage-full:70", 70)]
)
def test_the_simulated_phone_tells_it_as_well(fault: str, megabytes: int) -> None:
    phone = Device(Journal(None))
    phone.set_fault(faults.parse(fault))

    _, said = shell.run(phone, "df -k /data", client="pod-1")

    assert free_megabytes(said) == megabytes
