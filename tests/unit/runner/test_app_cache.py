"""The app in a cache that tests can write to: it is fast where all is well, and never in the way."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from typing import TYPE_CHECKING

import pytest

from qgjob.api.stores import App
from qgjob.api.stores import Cache as CacheSettings
from testrunner.app import fetch_app
from testrunner.cache import Cache
from testrunner.secrets import Secrets
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PACKAGE = b"package" * 1000
SECRET = b"what only the courier may read"


class Scene:
    """A server with one package, a cache, and a Secret that whoever writes to the cache would like to have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "secret"
        self.secret.write_bytes(SECRET)
        found = Cache.find(CacheSettings(volume={}), str(folder / "cache"), print)
        assert found is not None
        self.cache = found
        self.log: list[str] = []
        self.known: list[str | None] = []
        self.meanwhile: Callable[[], None] = lambda: None
        scene = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("If-None-Match")
                scene.known.append(known)
                if known == '"1"':
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(PACKAGE)))
                self.end_headers()
                self.wfile.write(PACKAGE[:-1])
                self.wfile.flush()
                scene.meanwhile()
                self.wfile.write(PACKAGE[-1:])

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def fetch(self) -> bytes:
        to = self.folder / "fetched"
        to.unlink(missing_ok=True)
        fetch_app(
            App(url=f"http://127.0.0.1:{self.http.server_port}/{{appVersionId}}/app.apk"),
            "v1",
            to,
            secrets=Secrets(self.folder),
            cache=self.cache,
            stop=StopToken(),
            log=self.log.append,
        )
        return to.read_bytes()

    @property
    def kept(self) -> Path:
        """The package in the cache."""
        (found,) = (self.folder / "cache").rglob("package")
        return found

    def exchange(self) -> None:
        """Put a link to the Secret in the place of each package that is in the cache, or on its way there."""
        for path in (self.folder / "cache").rglob("package"):
            path.unlink()
            path.symlink_to(self.secret)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path)
    threading.Thread(target=found.http.serve_forever, daemon=True).start()
    yield found
    found.http.shutdown()
    found.http.server_close()


def test_the_second_batch_only_asks_whether_it_is_still_the_same(scene: Scene) -> None:
    assert scene.fetch() == PACKAGE
    assert scene.fetch() == PACKAGE

    assert scene.known == [None, '"1"']
    assert "in the cache" in scene.log[-1]


def test_a_link_that_is_put_there_during_the_download_is_not_followed(scene: Scene) -> None:
    scene.meanwhile = scene.exchange

    assert scene.fetch() == PACKAGE
    assert scene.fetch() == PACKAGE


def test_a_link_in_the_place_of_a_kept_package_is_not_followed(scene: Scene) -> None:
    scene.fetch()
    scene.exchange()
    about = scene.kept.with_name("about.json")
    about.write_text(json.dumps({"sha256": hashlib.sha256(SECRET).hexdigest(), "etag": '"1"'}))

    assert scene.fetch() == PACKAGE
    assert "damaged" in "".join(scene.log)


def test_what_is_noted_beside_a_package_does_not_overwrite_what_a_link_leads_to(scene: Scene) -> None:
    scene.fetch()
    entry = scene.kept.parent
    for ending in (".size", ".lock"):
        beside = entry.with_suffix(ending)
        beside.unlink()
        beside.symlink_to(scene.secret)
    scene.exchange()

    assert scene.fetch() == PACKAGE
    assert scene.secret.read_bytes() == SECRET


@pytest.mark.parametrize("about", ["no JSON", "[]", '{"etag": "1\\r\\nHost: elsewhere"}', '{"etag": 5}'])
def test_odd_notes_in_the_cache_are_no_more_than_a_package_that_is_not_there(
    scene: Scene, about: str
) -> None:
    scene.fetch()
    scene.kept.with_name("about.json").write_text(about)

    assert scene.fetch() == PACKAGE
    assert scene.known[-1] is None


def test_a_cache_that_takes_nothing_more_costs_no_batch_its_app(scene: Scene) -> None:
    cache = scene.folder / "cache/qgjob"

    def unmount() -> None:
        cache.rename(cache.with_name("gone"))

    scene.meanwhile = unmount

    assert scene.fetch() == PACKAGE
    assert "is not kept in the cache" in "".join(scene.log)


def test_an_entry_that_can_not_be_locked_is_done_without(scene: Scene) -> None:
    scene.fetch()
    lock = scene.kept.parent.with_suffix(".lock")
    lock.unlink()
    lock.mkdir()

    assert scene.fetch() == PACKAGE
    assert "fetched without the cache" in "".join(scene.log)
