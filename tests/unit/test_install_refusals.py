"""Whose fault it is that a device did not take an app."""

from __future__ import annotations

import pytest

from testrunner.devices.refusals import APP, DEVICE, culprit


@pytest.mark.parametrize(
    "reason",
    [
        "INSTALL_FAILED_INVALID_APK: Split null was defined multiple times",
        "INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries, res=-113",
        "INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #99 (current version is #34)",
        "INSTALL_FAILED_OLDER_SDK: Failed parse during installPackageLI: Requires newer sdk version #35",
        "INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed to collect certificates from /data/app/vmdl1.tmp/base.apk",
        "INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/app/vmdl1.tmp/base.apk",
        "INSTALL_FAILED_VERSION_DOWNGRADE: Downgrade detected: Update version code 3 is older than current 4",
        "-113: INSTALL_FAILED_NO_MATCHING_ABIS",
    ],
)
def test_what_no_device_can_take_is_the_apps_fault(reason: str) -> None:
    assert culprit(reason) == "app"


@pytest.mark.parametrize(
    "reason",
    [
        "INSTALL_FAILED_INSUFFICIENT_STORAGE",
        "INSTALL_FAILED_INTERNAL_ERROR: Session relinquished",
        "INSTALL_FAILED_USER_RESTRICTED: Install canceled by user",
        "INSTALL_FAILED_ABORTED: User rejected permissions",
        "INSTALL_FAILED_CONFLICTING_PROVIDER: Can't install because provider name is already used by org.other",
        "INSTALL_FAILED_VERIFICATION_TIMEOUT",
        "INSTALL_PARSE_FAILED_UNEXPECTED_EXCEPTION: Failed to parse",
        "INSTALL_FAILED_SOMETHING_THAT_A_LATER_ANDROID_SAYS",
        "INSTALL_FAILED_OLDER_SDK_OF_SOME_VENDOR",
        "adb: device offline",
        "",
    ],
)
def test_all_else_is_the_devices(reason: str) -> None:
    assert culprit(reason) == "device"


def test_no_code_is_on_both_sides() -> None:
    assert not APP & DEVICE
