"""The app server, over HTTP."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from hack.phone import apk, apps

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = apps.server("127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_version_is_made_on_demand(url: str) -> None:
    with urllib.request.urlopen(f"{url}/apps/3.7.2.apk") as answer:
        assert apk.read(answer.read()).manifest.version_name == "3.7.2"


def test_an_uninstallable_version_asks_for_an_android_that_is_not_there_yet(url: str) -> None:
    with urllib.request.urlopen(f"{url}/apps/1.4.0-uninstallable.apk") as answer:
        assert apk.read(answer.read()).manifest.min_sdk == 99


@pytest.mark.parametrize("path", ["/apps/latest.apk", "/apps/1.4.0", "/1.4.0.apk"])
def test_anything_else_is_not_found(url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url + path)


def test_an_unchanged_version_is_not_sent_again(url: str) -> None:
    with urllib.request.urlopen(f"{url}/apps/1.4.0.apk") as answer:
        etag = answer.headers["ETag"]
    again = urllib.request.Request(f"{url}/apps/1.4.0.apk", headers={"If-None-Match": etag})

    with pytest.raises(urllib.error.HTTPError, match="304"):
        urllib.request.urlopen(again)


def test_a_download_can_be_continued(url: str) -> None:
    with urllib.request.urlopen(f"{url}/apps/1.4.0.apk") as answer:
        whole = answer.read()
    rest = urllib.request.Request(f"{url}/apps/1.4.0.apk", headers={"Range": "bytes=100-"})

    with urllib.request.urlopen(rest) as answer:
        assert (answer.status, answer.read()) == (206, whole[100:])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-9", range(10)),
        ("bytes=90-", range(90, 100)),
        ("bytes=-5", range(95, 100)),
        ("bytes=100-", range(100, 100)),
        ("bytes=9-0", None),
        ("bytes=0-1,5-6", None),
    ],
)
def test_ranges(header: str, expected: range | None) -> None:
    assert apps.byte_range(header, 100) == expected
