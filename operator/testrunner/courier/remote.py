"""A courier that is another container of the pod, asked over its socket."""

from __future__ import annotations

import shutil
import socket
import tarfile
import time
from typing import TYPE_CHECKING, Any, Final

from ..drivers.base import InfrastructureError, Stopped
from .wire import MAX_LINE_BYTES, STORE_SECONDS, as_exception, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.source import GitSource

    from ..stop import StopToken

#: The courier starts before the runner, but its socket may come a moment later; so does that of one that was killed.
CONNECT_SECONDS: Final = 30.0
#: On top of the time that a call has in the courier, until the runner waits no longer for its answer.
MARGIN_SECONDS: Final = 15.0
_TICK_SECONDS: Final = 0.2
_STOP_SECONDS: Final = 10.0


class RemoteCourier:
    """Fetches by the courier container, into folders that it shares. Also the store of the target's artifacts."""

    def __init__(
        self, path: Path, shared: Path, *, fetch_seconds: float, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        """`shared` is the folder that both have; `fetch_seconds` is how long one fetch may take."""
        self._path = path
        self._shared = shared
        self._fetch_seconds = fetch_seconds
        self._connect_seconds = connect_seconds

    def fetch_app(self, to: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """See Courier."""
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        self._call({"do": "app", "to": self._below(to)}, self._fetch_seconds, stop, log)

    def fetch_git(
        self,
        source: GitSource,
        folder: Path,
        *,
        commit: str = "",
        stop: StopToken,
        log: Callable[[str], None],
    ) -> str:
        """See Courier."""
        packed = folder.with_name(f"{folder.name}.tar")
        packed.unlink(missing_ok=True)
        request = {
            "do": "git",
            "repository": source.repository,
            "revision": source.revision,
            "commit": commit,
            "to": self._below(packed),
        }
        try:
            found = str(self._call(request, self._fetch_seconds, stop, log))
            folder.mkdir(parents=True)
            with tarfile.open(packed) as tar:
                # What git checked out is taken as it is, links included; nothing is written outside of the folder.
                tar.extractall(folder, filter="tar")
        except (tarfile.TarError, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InfrastructureError(f"what the courier fetched can't be unpacked: {error}") from error
        finally:
            packed.unlink(missing_ok=True)
        return found

    def store(self, key: str, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """See testrunner.artifacts.base.Store."""
        self._call({"do": "store", "key": key, "folder": self._below(folder)}, STORE_SECONDS, stop, log)

    def prune(self, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """See testrunner.artifacts.base.Store."""
        self._call({"do": "prune"}, STORE_SECONDS, stop, log)

    def _below(self, path: Path) -> str:
        return path.relative_to(self._shared).as_posix()

    def _call(
        self, request: dict[str, Any], seconds: float, stop: StopToken, log: Callable[[str], None]
    ) -> Any:
        with self._connected(stop) as connection:
            try:
                connection.sendall(encode(request))
                return self._answer(connection, seconds, stop, log)
            except OSError as error:
                raise _died(str(error)) from error

    def _connected(self, stop: StopToken) -> socket.socket:
        deadline = time.monotonic() + self._connect_seconds
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(_TICK_SECONDS)
                connection.connect(str(self._path))
            except OSError as error:
                connection.close()
                if time.monotonic() > deadline:
                    raise InfrastructureError(
                        f"the pod's container `courier` does not answer ({error.strerror or error}): "
                        "`kubectl logs POD -c courier` says more"
                    ) from error
                if stop.wait(_TICK_SECONDS):
                    raise Stopped(stop.reason) from None
            else:
                return connection

    def _answer(
        self, connection: socket.socket, seconds: float, stop: StopToken, log: Callable[[str], None]
    ) -> Any:
        deadline = time.monotonic() + seconds + MARGIN_SECONDS
        asked_to_stop = False
        rest = b""
        while True:
            if stop.requested and not asked_to_stop:
                asked_to_stop = True
                deadline = min(deadline, time.monotonic() + (0.0 if stop.at_once else _STOP_SECONDS))
                connection.sendall(encode({"stop": stop.reason[: MAX_LINE_BYTES // 8]}))
            if time.monotonic() > deadline:
                if asked_to_stop:
                    raise Stopped(stop.reason)
                raise InfrastructureError(
                    f"the pod's container `courier` did not answer within {seconds:g} s"
                )
            try:
                piece = connection.recv(MAX_LINE_BYTES)
            except TimeoutError:
                continue
            if not piece:
                raise _died("its connection ended")
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                message = _decoded(line)
                if "log" in message:
                    log(str(message["log"]))
                elif "error" in message:
                    if asked_to_stop:
                        raise Stopped(stop.reason)
                    raise _not_asked(as_exception(message["error"]))
                else:
                    return message.get("result")


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        return decode(line)
    except ValueError as error:
        raise InfrastructureError(f"the courier said what nobody understands: {error}") from error


def _not_asked(error: Exception) -> Exception:
    """The courier may stop by itself, which for a runner that did not ask for it is trouble."""
    return (
        InfrastructureError(f"the pod's container `courier` stopped: {error}")
        if isinstance(error, Stopped)
        else error
    )


def _died(how: str) -> InfrastructureError:
    return InfrastructureError(
        f"the pod's container `courier` ended in the middle of its work ({how}). Was it killed, or out of memory? "
        "`kubectl describe pod` and `kubectl logs POD -c courier` say more"
    )
