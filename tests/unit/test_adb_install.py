"""What adb's output says of an install."""

from __future__ import annotations

import pytest

from testrunner.devices.adb import install_failure


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
