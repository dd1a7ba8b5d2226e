"""What adb's output says of an install."""

from __future__ import annotations

import pytest

from testrunner.devices.adb import granted_permissions, install_failure


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "Performing Streamed Install\nadb: failed to install shop.apk: Failure [INSTALL_FAILED_OLDER_SDK: Requires newer sdk]",  # noqa: E501 (adb's own words)
            "INSTALL_FAILED_OLDER_SDK: Requires newer sdk",
        ),
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]\n", "INSTALL_FAILED_INSUFFICIENT_STORAGE"),
        (
            # Through a pipe, what adb says of its progress comes after what it says of the failure.
            "adb: failed to install a.apk: cmd: Can't find service: package\nPerforming Streamed Install\n",
            "adb: failed to install a.apk: cmd: Can't find service: package",
        ),
        ("adb: device offline\n", "adb: device offline"),
        ("", "adb said nothing"),
    ],
)
def test_the_reason_is_the_devices_own(output: str, reason: str) -> None:
    assert install_failure(output) == reason


DUMPSYS = """\
    install permissions:
      android.permission.INTERNET: granted=true
    User 0: ceDataInode=1 installed=true hidden=false
      gids=[3003]
      runtime permissions:
        android.permission.CAMERA: granted=true, flags=[ USER_SENSITIVE_WHEN_GRANTED]
        android.permission.RECORD_AUDIO: granted=false, flags=[ USER_SENSITIVE_WHEN_DENIED]
        com.example.shop.permission.SCAN: granted=true
    User 10: ceDataInode=0 installed=false hidden=false
      runtime permissions:
        android.permission.READ_CONTACTS: granted=true
"""


def test_what_was_granted_at_run_time_is_told_from_the_rest() -> None:
    assert granted_permissions(DUMPSYS) == ("android.permission.CAMERA", "com.example.shop.permission.SCAN")


def test_a_device_that_tells_nothing_of_it_has_granted_nothing() -> None:
    assert granted_permissions("Unable to find package: com.example.shop\n") == ()
