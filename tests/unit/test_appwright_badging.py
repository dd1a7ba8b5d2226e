"""Which app is in an APK."""

from __future__ import annotations

import pytest

from testrunner.appwright.badging import AppIdentity, parse
from testrunner.drivers.base import InfrastructureError

PRINTED = """package: name='org.example.shop' versionCode='1004000' versionName='1.4.0'
sdkVersion:'21'
launchable-activity: name='org.example.shop.MainActivity'  label='' icon=''
"""


def test_package_and_activity_are_read() -> None:
    found = parse(PRINTED, "", name="shop.apk", package=None, activity=None)

    assert found == AppIdentity("org.example.shop", "org.example.shop.MainActivity")


def test_the_targets_settings_win() -> None:
    found = parse(PRINTED, "", name="shop.apk", package=None, activity=".Debug")

    assert found == AppIdentity("org.example.shop", ".Debug")


@pytest.mark.parametrize(
    ("stdout", "stderr", "words"),
    [
        ("", "ERROR: dump failed because no AndroidManifest.xml found\n", "no AndroidManifest.xml found"),
        ("package: name='org.example.service'\n", "", "no launchable activity"),
    ],
)
def test_what_is_missing_is_named(stdout: str, stderr: str, words: str) -> None:
    with pytest.raises(InfrastructureError, match=words):
        parse(stdout, stderr, name="shop.apk", package=None, activity=None)
