"""Which app is in an APK."""

from __future__ import annotations

from pathlib import Path

import pytest

from testrunner.appwright.badging import AppIdentity, identify, parse
from testrunner.drivers.base import InfrastructureError, SubmitterError

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


def test_an_app_without_a_screen_has_no_activity() -> None:
    found = parse("package: name='org.example.service'\n", "", name="s.apk", package=None, activity=None)

    assert found == AppIdentity("org.example.service", "")


def test_an_archive_that_is_no_apk_is_its_submitters_matter() -> None:
    complaint = "ERROR: dump failed because no AndroidManifest.xml found\n"

    with pytest.raises(SubmitterError, match=r"AppInvalid: shop\.apk .*no AndroidManifest\.xml found"):
        parse("", complaint, name="shop.apk", package=None, activity=None)


def test_what_is_no_archive_at_all_is_the_servers_word(tmp_path: Path) -> None:
    page = tmp_path / "shop.apk"
    page.write_text("<html>please log in</html>")

    with pytest.raises(InfrastructureError, match="login or an error page"):
        identify(Path("/no/such/aapt"), page, package=None, activity=None)
