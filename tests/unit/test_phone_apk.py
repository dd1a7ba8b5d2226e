"""The app maker and the reader of any APK's manifest."""

from __future__ import annotations

import pytest

from hack.phone import apk, shop
from hack.phone.manifest import Manifest, ManifestError


def test_what_is_made_is_read_back() -> None:
    made = apk.make(
        {"package": "org.example.notes", "versionName": "2.0.1", "versionCode": 7, "label": "Notes"}
    )

    assert apk.read(made).manifest == Manifest(
        "org.example.notes", 7, "2.0.1", label="Notes", activity="org.example.notes.MainActivity"
    )


def test_the_same_version_is_the_same_file() -> None:
    app = shop.describe("1.4.0")
    assert app is not None

    assert apk.make(app) == apk.make(app)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut"])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ManifestError):
        apk.read(content)


@pytest.mark.parametrize(("version", "items"), [("1.4.0", 4), ("1.5.0", 5), ("2.0.3", 0), ("1.4.0-rc.1", 4)])
def test_a_version_shows_its_number_and_its_items(version: str, items: int) -> None:
    app = shop.describe(version)
    assert app is not None
    texts = [node.get("text") for node in app["screens"]["home"]]

    assert f"Version {version}" in texts
    assert f"Items: {items}" in texts


@pytest.mark.parametrize("version", ["1.4", "latest", "1.4.0/../x", "v1.4.0", ""])
def test_what_is_no_version_has_no_app(version: str) -> None:
    assert shop.describe(version) is None
