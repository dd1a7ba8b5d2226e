"""The courier's side of the socket."""

from __future__ import annotations

import contextlib
import os
import socket
import tarfile
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qgjob.api.source import GitSource

from ..drivers.base import InfrastructureError, Stopped, SubmitterError
from ..stop import StopToken
from .wire import MAX_LINE_BYTES, STORE_SECONDS, decode, encode, error_message, log_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..artifacts.base import Store
    from .base import Courier
    from .rights import BatchRights
    from .shared import SharedFolder

#: Calls at once; a runner makes two or three.
MAX_CALLS: Final = 8
#: Seconds in which a request must have come.
REQUEST_SECONDS: Final = 10.0
BUSY_SECONDS: Final = 0.2
#: Seconds that uploads may still take once the courier is asked to end.
DRAIN_SECONDS: Final = 30.0
#: The same for everything else: it is not wanted any more.
END_SECONDS: Final = 0.5
_UPLOADS: Final = frozenset({"store", "prune"})


class Work:
    """What is done for a batch: by its target, and for nobody else."""

    def __init__(
        self,
        courier: Courier,
        store: Store | None,
        rights: BatchRights,
        shared: SharedFolder,
        *,
        target_name: str,
        fetch_seconds: float,
    ) -> None:
        """`fetch_seconds`: how long one fetch may take."""
        self._courier = courier
        self._store = store
        self._rights = rights
        self._shared = shared
        self._target_name = target_name
        self.fetch_seconds = fetch_seconds

    def app(self, request: dict[str, Any], stop: StopToken, log: Callable[[str], None]) -> None:
        """Fetch the package to a new file `to`."""
        # A download is written here and then copied: it follows paths, and the shared folder has tests' links.
        with tempfile.TemporaryDirectory(prefix="app-") as scratch:
            package = Path(scratch) / "package"
            self._courier.fetch_app(package, stop=stop, log=log)
            with self._shared.new_file(_text(request, "to")) as file, package.open("rb") as source:
                _copy(source.fileno(), file.fileno())

    def git(self, request: dict[str, Any], stop: StopToken, log: Callable[[str], None]) -> str:
        """Fetch a repository, and write all of it as a .tar to a new file `to`; returns the commit."""
        source = GitSource(repository=_text(request, "repository"), revision=_text(request, "revision"))
        self._rights.check_repository(source.repository, self._rights.target(self._target_name))
        # Not in the shared folder: git does what a repository's own configuration says, which tests could write.
        with tempfile.TemporaryDirectory(prefix="git-") as scratch:
            folder = Path(scratch) / "repository"
            commit = self._courier.fetch_git(
                source, folder, commit=_text(request, "commit"), stop=stop, log=log
            )
            with (
                self._shared.new_file(_text(request, "to")) as file,
                tarfile.open(fileobj=file, mode="w") as tar,
            ):
                tar.add(folder, arcname=".")
        return commit

    def store(self, request: dict[str, Any], stop: StopToken, log: Callable[[str], None]) -> None:
        """Store the artifacts in `folder` below `key`."""
        key = _text(request, "key")
        self._rights.check_key(key)
        with self._shared.folder(_text(request, "folder")) as folder:
            self._artifacts.store(key, folder, stop=stop, log=log)

    def prune(self, request: dict[str, Any], stop: StopToken, log: Callable[[str], None]) -> None:
        """Delete old artifacts of the target."""
        del request
        self._artifacts.prune(stop=stop, log=log)

    @property
    def _artifacts(self) -> Store:
        if self._store is None:
            raise InfrastructureError("the TestTarget has no artifacts store")
        return self._store


class Server:
    """Serves one socket. Each call has a thread of its own."""

    def __init__(self, path: Path, work: Callable[[], Work], log: Callable[[str], None]) -> None:
        """`work` is called with the first request, and again as long as it raises InfrastructureError."""
        self._path = path
        self._make_work = work
        self._work: Work | None = None
        self._lock = threading.Lock()
        self._log = log
        self._free = threading.BoundedSemaphore(MAX_CALLS)
        self._fetches = StopToken()
        self._uploads = StopToken()
        self._threads: set[threading.Thread] = set()
        self._ending = threading.Event()

    def serve(self) -> None:
        """Until `end` is called and what is under way is over."""
        # A courier that was killed has left its socket.
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._path))
            listener.listen(MAX_CALLS)
            listener.settimeout(0.2)
            while not self._ending.is_set():
                with contextlib.suppress(TimeoutError):
                    self._answer(listener.accept()[0])
        self._finish()

    def end(self, reason: str) -> None:
        """No new calls; fetches are stopped, uploads get some seconds more. May be called from any thread."""
        self._ending.set()
        self._fetches.request(reason)

    def _finish(self) -> None:
        self._path.unlink(missing_ok=True)
        uploading = any(thread.name in _UPLOADS for thread in list(self._threads))
        deadline = time.monotonic() + (DRAIN_SECONDS if uploading else END_SECONDS)
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        self._uploads.request("the courier was asked to end")

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(REQUEST_SECONDS)
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError), connection:
                busy = InfrastructureError(f"the courier has {MAX_CALLS} calls under way already")
                connection.sendall(encode(error_message(busy)))
                # A connection that is closed with a request unread takes the answer away, too.
                connection.settimeout(BUSY_SECONDS)
                connection.recv(MAX_LINE_BYTES)
            return
        thread = threading.Thread(target=self._serve_one, args=(connection,), name="call", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve_one(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                try:
                    answer: dict[str, Any] = {"result": self._do(connection, lines)}
                except (SubmitterError, InfrastructureError, Stopped) as error:
                    answer = error_message(error)
                except Exception as error:  # noqa: BLE001 - whatever it is, the courier goes on
                    self._log(traceback.format_exc())
                    answer = error_message(error)
                with contextlib.suppress(OSError):
                    connection.sendall(encode(answer))
        finally:
            self._free.release()
            self._threads.discard(threading.current_thread())

    def _do(self, connection: socket.socket, lines: Any) -> Any:
        try:
            request = decode(lines.readline(MAX_LINE_BYTES))
        except (OSError, ValueError) as error:
            raise InfrastructureError(f"no request came: {error}") from error
        work = self._ready()
        kinds = {"app": work.app, "git": work.git, "store": work.store, "prune": work.prune}
        kind = str(request.get("do"))
        if kind not in kinds:
            raise InfrastructureError(f"the courier knows no {kind!r}")
        threading.current_thread().name = kind
        upload = kind in _UPLOADS
        stop = (self._uploads if upload else self._fetches).child()
        seconds = STORE_SECONDS if upload else work.fetch_seconds
        late = threading.Timer(seconds, stop.request, (f"the courier's time was over ({seconds:g} s)",))
        late.daemon = True
        late.start()
        connection.settimeout(None)
        # What was begun to be stored is stored, also for a runner that has died.
        listener = threading.Thread(
            target=_listen, args=(lines, stop), kwargs={"until_eof": not upload}, daemon=True
        )
        listener.start()
        sending = threading.Lock()

        def log(text: str) -> None:
            self._log(text)
            with sending, contextlib.suppress(OSError):
                connection.sendall(encode(log_message(text)))

        try:
            return kinds[kind](request, stop, log)
        finally:
            late.cancel()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
            listener.join()

    def _ready(self) -> Work:
        with self._lock:
            if self._work is None:
                self._work = self._make_work()
            return self._work


def _listen(lines: Any, stop: StopToken, *, until_eof: bool) -> None:
    """Hear a runner that wants to stop, or that is gone."""
    try:
        line = lines.readline(MAX_LINE_BYTES)
    except OSError:
        line = b""  # it died with an answer unread
    if line:
        with contextlib.suppress(ValueError):
            stop.request(str(decode(line).get("stop", "")))
    elif until_eof:
        stop.request("the runner is gone")


def _copy(source: int, target: int) -> None:
    """All of one file into another one, by the kernel where it can."""
    left = os.fstat(source).st_size
    while left > 0:
        try:
            copied = os.copy_file_range(source, target, left)
        except OSError:
            piece = os.read(source, 1024 * 1024)
            copied = len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view) :]
        if not copied:
            raise InfrastructureError("the package got shorter while it was copied")
        left -= copied


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise InfrastructureError(f"the request's {key} must be a text")
    return value
