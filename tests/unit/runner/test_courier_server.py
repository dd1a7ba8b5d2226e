"""The courier's socket, while runners come, stop and die. What it reads of the API is in tests/apiserver."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testrunner.courier.remote import RemoteCourier
from testrunner.courier.server import MAX_CALLS, Server, Work
from testrunner.courier.shared import SharedFolder
from testrunner.courier.wire import encode
from testrunner.drivers.base import InfrastructureError, Stopped, SubmitterError
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qgjob.api.source import GitSource

    Log = Callable[[str], None]

SECONDS = 20.0


class Slow:
    """A courier and a store that work until they are let go, or stopped."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.stopped = threading.Event()
        self.stored = threading.Event()
        self.error: Exception | None = None

    def fetch_app(self, to: Path, *, stop: StopToken, log: Log) -> None:
        log("fetching")
        if self.error is not None:
            raise self.error
        self._work(stop)
        to.write_bytes(b"package")

    def fetch_git(
        self, source: GitSource, folder: Path, *, commit: str = "", stop: StopToken, log: Log
    ) -> str:
        raise NotImplementedError

    def store(self, key: str, folder: Path, *, stop: StopToken, log: Log) -> None:
        self._work(stop)
        self.stored.set()

    def prune(self, *, stop: StopToken, log: Log) -> None:
        raise NotImplementedError

    def _work(self, stop: StopToken) -> None:
        self.begun.release()
        while not self.let_go.wait(0.01):
            if stop.requested:
                self.stopped.set()
                raise Stopped(stop.reason)


class Everything:
    """A batch that may do all."""

    def check_key(self, key: str) -> None:
        pass


class Scene:
    """A server in a thread."""

    def __init__(self, folder: Path, fetch_seconds: float = 60.0) -> None:
        self.slow = Slow()
        self.path = folder / "s"
        self.shared = folder / "shared"
        (self.shared / "reports").mkdir(parents=True)
        rights: Any = Everything()
        work = Work(
            self.slow,
            self.slow,
            rights,
            SharedFolder(self.shared),
            target_name="t",
            fetch_seconds=fetch_seconds,
        )
        self.server = Server(self.path, lambda: work, lambda _: None)
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()
        self.client = RemoteCourier(self.path, self.shared, fetch_seconds=60.0, connect_seconds=SECONDS)
        self.log: list[str] = []

    def fetch(self, stop: StopToken | None = None) -> bytes:
        self.client.fetch_app(self.shared / "app.apk", stop=stop or StopToken(), log=self.log.append)
        return (self.shared / "app.apk").read_bytes()

    def ask(self, **request: str) -> socket.socket:
        """A request of a runner that then does what the test wants."""
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(str(self.path))
                break
            except OSError:
                assert self.thread.is_alive()
        connection.sendall(encode(request))
        assert self.slow.begun.acquire(timeout=SECONDS)
        return connection


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="s-") as found:  # sockets have short paths
        yield Path(found)


@pytest.fixture
def scene(folder: Path) -> Iterator[Scene]:
    found = Scene(folder)
    yield found
    found.slow.let_go.set()
    found.server.end("the test is over")
    found.thread.join(SECONDS)


def test_progress_and_the_result_come_back(scene: Scene) -> None:
    scene.slow.let_go.set()

    assert scene.fetch() == b"package"
    assert scene.log == ["fetching"]


@pytest.mark.parametrize(
    "error", [SubmitterError("AppVersionNotFound", "no v1"), InfrastructureError("away", reason="Odd")]
)
def test_errors_come_back_as_what_they_are(scene: Scene, error: SubmitterError | InfrastructureError) -> None:
    scene.slow.error = error

    with pytest.raises(type(error), match=error.message) as raised:
        scene.fetch()

    assert raised.value.reason == error.reason  # type: ignore[attr-defined]


def test_an_error_that_nobody_expected_is_infrastructure(scene: Scene) -> None:
    scene.slow.error = ZeroDivisionError("oops")

    with pytest.raises(InfrastructureError, match="ZeroDivisionError: oops"):
        scene.fetch()


def test_a_fetch_ends_with_a_runner_that_has_died(scene: Scene) -> None:
    scene.ask(do="app", to="app.apk").close()

    assert scene.slow.stopped.wait(SECONDS)


def test_what_was_begun_to_be_stored_is_stored_for_a_runner_that_has_died(scene: Scene) -> None:
    scene.ask(do="store", key="k", folder="reports").close()
    scene.slow.let_go.set()

    assert scene.slow.stored.wait(SECONDS)


def test_it_ends_only_when_its_uploads_are_through(scene: Scene) -> None:
    scene.ask(do="store", key="k", folder="reports")
    scene.server.end("SIGTERM")
    scene.thread.join(0.8)
    assert scene.thread.is_alive()

    scene.slow.let_go.set()
    scene.thread.join(SECONDS)

    assert not scene.thread.is_alive()
    assert scene.slow.stored.is_set()


def test_it_waits_for_no_fetch(scene: Scene) -> None:
    scene.ask(do="app", to="app.apk")

    scene.server.end("SIGTERM")

    assert scene.slow.stopped.wait(SECONDS)
    scene.thread.join(SECONDS)
    assert not scene.thread.is_alive()


def test_a_fetch_has_its_time(folder: Path) -> None:
    scene = Scene(folder, fetch_seconds=0.1)

    with pytest.raises(InfrastructureError, match=r"the courier's time was over \(0\.1 s\)"):
        scene.fetch()


def test_a_flood_of_calls_is_refused(scene: Scene) -> None:
    flood = [scene.ask(do="app", to=f"app-{number}.apk") for number in range(MAX_CALLS)]

    with pytest.raises(InfrastructureError, match="calls under way already"):
        scene.fetch()

    for each in flood:
        each.close()


@pytest.mark.parametrize(
    "request_line",
    [b"\n", b"[]\n", b'{"do": "secrets"}\n', b'{"do": "app"}\n', b'{"do": "store", "key": 1}\n'],
)
def test_nonsense_is_answered_and_harms_nobody(scene: Scene, request_line: bytes) -> None:
    scene.slow.let_go.set()
    assert scene.fetch() == b"package"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(scene.path))
        connection.sendall(request_line)
        answer = connection.makefile("rb").readlines()[-1]

    assert b'"error"' in answer
    assert scene.fetch() == b"package"
