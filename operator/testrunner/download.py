"""Fetching one file by URL: with limits, tried again where that can help."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from .drivers.base import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stop import StopToken

#: Requests for one file at most, and the pause after the first that went wrong (it doubles).
TRIES: Final = 5
FIRST_PAUSE_SECONDS: Final = 1.0
#: The longest silence of the server, in seconds.
SILENCE_SECONDS: Final = 20.0
_CHUNK: Final = 1024 * 1024
_MAY_PASS: Final = frozenset({408, 425, 429})


class DownloadError(Exception):
    """The file could not be had. The text is for people and names the URL."""


class NoSuchFileError(DownloadError):
    """The server says that there is none (404, 410), or the folder does."""


class FileTooLargeError(DownloadError):
    """It is larger than was allowed."""


class _TryAgain(Exception):  # noqa: N818
    """It went wrong in a way that may pass."""


def download(
    url: str,
    to: Path,
    *,
    max_bytes: int,
    stop: StopToken,
    log: Callable[[str], None],
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> int:
    """Fetch an http, https or file URL into a file; returns its size in bytes.

    Connection errors, cut answers, 429 and 5xx are tried again, TRIES times in all.

    Raises:
        NoSuchFileError: 404 or 410.
        FileTooLargeError: more than `max_bytes`.
        DownloadError: anything else, also after the last try.
        Stopped: `stop` was requested.
    """
    pause = first_pause
    for number in range(1, TRIES + 1):
        if stop.requested:
            raise Stopped(stop.reason)
        try:
            return _fetch(url, to, max_bytes, stop)
        except _TryAgain as error:
            if number == TRIES:
                raise DownloadError(f"{_public(url)}: {error} (tried {TRIES} times)") from error
            log(f"{_public(url)}: {error}; trying again in {pause:g} s")
        stop.wait(pause)
        pause *= 2
    raise AssertionError("unreachable: the loop returns or raises")


def _fetch(url: str, to: Path, max_bytes: int, stop: StopToken) -> int:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _copy(url, Path(unquote(parts.path)), to, max_bytes)
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{_public(url)}: only http, https and file URLs can be fetched")
    request = urllib.request.Request(url, headers={"User-Agent": "qgjob-runner"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:  # noqa: S310
            expected = _length(response.headers.get("Content-Length"))
            if expected is not None and expected > max_bytes:
                raise _too_large(url, max_bytes)
            size = 0
            with to.open("wb") as file:
                while chunk := response.read(_CHUNK):
                    if stop.requested:
                        raise Stopped(stop.reason)
                    size += len(chunk)
                    if size > max_bytes:
                        raise _too_large(url, max_bytes)
                    file.write(chunk)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 410):
                raise NoSuchFileError(f"{_public(url)}: HTTP {error.code} {error.reason}") from error
            if error.code >= 500 or error.code in _MAY_PASS:
                raise _TryAgain(f"HTTP {error.code} {error.reason}") from error
            raise DownloadError(f"{_public(url)}: HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise _TryAgain(str(getattr(error, "reason", "") or error or type(error).__name__)) from error
    # http.client takes the end of the connection for the end of the file.
    if expected is not None and size < expected:
        raise _TryAgain(f"the answer was cut off after {size} of {expected} bytes")
    return size


def _copy(url: str, source: Path, to: Path, max_bytes: int) -> int:
    try:
        if not source.is_file():
            raise NoSuchFileError(f"{url}: no such file in the runner's pod")
        if source.stat().st_size > max_bytes:
            raise _too_large(url, max_bytes)
        shutil.copyfile(source, to)
        return to.stat().st_size
    except OSError as error:
        raise DownloadError(f"{url}: {error.strerror or error}") from error


def _length(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _too_large(url: str, max_bytes: int) -> FileTooLargeError:
    return FileTooLargeError(f"{_public(url)}: larger than {max_bytes} bytes")


def _public(url: str) -> str:
    """The URL as it may be logged: without a password or a signature."""
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
