"""A simulated BrowserStack in this process, and the runner's client of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.browserstack.cloud import Cloud
from hack.browserstack.server import Server
from hack.phone import apps
from hack.phone.journal import Journal
from qgjob.api.providers import BrowserStack
from testrunner.browserstack.api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator
#: A test of another framework: it opens a session, notes it, and leaves it open.
SCRIPT = Path(__file__).with_name("browserstack_session.py")
ENVIRONMENT = {"BROWSERSTACK_USERNAME": "user", "BROWSERSTACK_ACCESS_KEY": "key"}


class Running:
    """The cloud, where it listens, and what was logged."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self.cloud = cloud
        self.url = url
        self.lines: list[str] = []

    def provider(self, **more: Any) -> BrowserStack:
        urls = dict.fromkeys(("api_url", "upload_url", "hub_url"), self.url)
        own = {"device": "Google Pixel 8", "os_version": "14.0", "credentials_secret": "account"}
        return BrowserStack(**{**own, **urls, **more})

    def api(self, environment: dict[str, str] | None = None) -> Api:
        return Api(self.provider(), environment or ENVIRONMENT, self.lines.append)

    def count(self, event: str) -> int:
        return self.cloud.journal.counts[event]


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    cloud = Cloud(Journal(None), **options)
    server = Server(cloud, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Running(cloud, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()


def package(folder: Path, version: str = "1.4.0") -> Path:
    content = apps.package(version)
    assert content is not None
    path = folder / f"{version}.apk"
    path.write_bytes(content)
    return path
