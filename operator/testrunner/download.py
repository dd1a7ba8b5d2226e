"""Fetching one file by URL: with limits, tried again where that can help, from where it was cut."""

from __future__ import annotations

import errno
import http.client
import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from .drivers.base import Stopped
from .redirects import opener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .stop import StopToken

#: Requests in a row at most that bring nothing new, and the pause after the first of them (it doubles).
TRIES: Final = 5
FIRST_PAUSE_SECONDS: Final = 1.0
#: A server that wants more (Retry-After) is asked all the same.
LONGEST_PAUSE_SECONDS: Final = 60.0
#: The longest silence of the server, in seconds.
SILENCE_SECONDS: Final = 20.0
#: A stop is noticed after so many bytes.
CHUNK: Final = 64 * 1024
_MAY_PASS: Final = frozenset({408, 425, 429})


class DownloadError(Exception):
    """The file could not be had. The text is for people and names the URL."""


class NoSuchFileError(DownloadError):
    """The server says that there is none (404, 410), or the folder does."""


class FileTooLargeError(DownloadError):
    """It is larger than was allowed."""


class NotAUrlError(DownloadError):
    """What should be its URL is none."""


class RefusedError(DownloadError):
    """The server does not let us have it (401, 403)."""


class TryAgain(Exception):  # noqa: N818
    """It went wrong in a way that may pass.

    `progress`: what has come so far can be gone on with. `after`: seconds for which the server wants to be left alone.
    """

    def __init__(self, message: str, *, progress: bool = False, after: float = 0.0) -> None:
        super().__init__(message)
        self.progress = progress
        self.after = after


@dataclass(frozen=True, slots=True)
class Version:
    """What a server says by which one content of a URL can be told from another one; empty where it does not."""

    etag: str = ""
    last_modified: str = ""

    @property
    def condition(self) -> str:
        """For If-Range: a weak tag is no proof that the bytes are the same."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def __bool__(self) -> bool:
        """Whether the server said anything."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True)
class Download:
    """What has come."""

    #: In bytes.
    size: int
    version: Version = Version()
    #: The server says that the version that was known is the newest; nothing was written.
    unchanged: bool = False


def download(
    url: str,
    to: Path,
    *,
    max_bytes: int,
    stop: StopToken,
    log: Callable[[str], None],
    headers: Mapping[str, str] | None = None,
    known: Version | None = None,
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> Download:
    """Fetch an http, https or file URL into a file.

    Connection errors, cut answers, 429 and 5xx are tried again, TRIES times in a row; a cut file goes on where it
    was cut if the server can do that and the file is still the same. `headers` are secret: another host that a
    server redirects to does not get them. `known`: a version that the caller has already.

    Raises:
        NoSuchFileError: 404 or 410.
        NotAUrlError: the URL has an impossible host or port, or characters that no URL has.
        RefusedError: 401 or 403.
        FileTooLargeError: more than `max_bytes`.
        DownloadError: anything else, also after the last try.
        Stopped: `stop` was requested.
    """
    parts = parsed(url)
    if parts.scheme == "file":
        return Download(_copy(url, Path(unquote(parts.path)), to, max_bytes))
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{public(url)}: only http, https and file URLs can be fetched")
    transfer = _Transfer(
        url, to, max_bytes=max_bytes, stop=stop, headers=headers or {}, known=known or Version()
    )
    return persist(public(url), transfer.go_on, stop=stop, log=log, first_pause=first_pause)


def parsed(url: str) -> SplitResult:
    """The URL's parts. Raises NotAUrlError, which does not repeat it: there may be a password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise NotAUrlError("its URL has a host or a port that can be none: look at it again") from error
    if any(character <= " " or character == "\x7f" for character in url):
        raise NotAUrlError("its URL has spaces or control characters: write them as %20 and the like")
    return parts


def persist(
    what: str,
    attempt: Callable[[], Download],
    *,
    stop: StopToken,
    log: Callable[[str], None],
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> Download:
    """Repeat `attempt` while it raises TryAgain, with growing pauses. Raises DownloadError at last, Stopped."""
    pause, number = first_pause, 1
    while True:
        if stop.requested:
            raise Stopped(stop.reason)
        try:
            return attempt()
        except TryAgain as error:
            if error.progress:
                pause, number = first_pause, 1
            if number == TRIES:
                raise DownloadError(f"{what}: {error} (tried {TRIES} times)") from error
            wait = max(pause, min(error.after, LONGEST_PAUSE_SECONDS))
            log(f"{what}: {error}; trying again in {wait:g} s")
        stop.wait(wait)
        pause, number = pause * 2, number + 1


def write(stream: IO[bytes], to: Path, *, at: int, url: str, max_bytes: int, stop: StopToken) -> int:
    """Write what a stream has from byte `at` of a file on; returns the file's size then.

    Raises FileTooLargeError, Stopped, and what the stream raises.
    """
    size = at
    with to.open("r+b" if at else "wb") as file:
        file.seek(at)
        file.truncate()
        while chunk := stream.read(CHUNK):
            if stop.requested:
                raise Stopped(stop.reason)
            size += len(chunk)
            if size > max_bytes:
                raise too_large(url, max_bytes)
            file.write(chunk)
    return size


def public(url: str) -> str:
    """The URL as it may be logged: without a password or a signature."""
    parts = urlsplit(url)
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")


def is_full(error: Exception) -> bool:
    """Whether it is this machine's disk, which no other try helps."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def too_large(url: str, max_bytes: int) -> FileTooLargeError:
    """The error for a file that is larger than was allowed."""
    return FileTooLargeError(f"{public(url)}: larger than {max_bytes} bytes")


class _Transfer:
    """One file on its way: what has come of it, and of which version."""

    def __init__(
        self,
        url: str,
        to: Path,
        *,
        max_bytes: int,
        stop: StopToken,
        headers: Mapping[str, str],
        known: Version,
    ) -> None:
        self._url = url
        self._to = to
        self._max_bytes = max_bytes
        self._stop = stop
        self._headers = headers
        self._opener = opener(headers)
        self._known = known
        self._version = Version()
        self._size = 0

    def go_on(self) -> Download:
        before = self._size
        try:
            with self._opener.open(self._request(), timeout=SILENCE_SECONDS) as response:
                return self._receive(response)
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error)
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            if is_full(error):
                raise DownloadError(f"{public(self._url)}: {error}") from error
            self._size = self._to.stat().st_size if self._to.exists() else 0
            text = str(getattr(error, "reason", "") or error or type(error).__name__)
            raise TryAgain(text, progress=self._resumable and self._size > before) from error
        except ValueError as error:  # a host that no name server is asked for, also of a redirect
            raise DownloadError(f"{public(self._url)}: {error}") from error

    @property
    def _resumable(self) -> bool:
        return bool(self._version.condition)

    def _request(self) -> urllib.request.Request:
        headers = {"User-Agent": "qgjob-runner", **self._headers}
        if self._size and self._resumable:
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._version.condition}
        elif self._known.etag:
            headers["If-None-Match"] = self._known.etag
        elif self._known.last_modified:
            headers["If-Modified-Since"] = self._known.last_modified
        return urllib.request.Request(self._url, headers=headers)  # noqa: S310 - http and https only

    def _receive(self, response: http.client.HTTPResponse) -> Download:
        before, at = self._size, 0
        if response.status == http.client.PARTIAL_CONTENT:
            at = self._size
            if not (response.headers.get("Content-Range") or "").startswith(f"bytes {at}-"):
                self._size = 0
                raise TryAgain("the server sent another part than it was asked for")
        else:
            self._version = Version(
                response.headers.get("ETag") or "", response.headers.get("Last-Modified") or ""
            )
        length = _number(response.headers.get("Content-Length"))
        if length is not None and at + length > self._max_bytes:
            raise too_large(self._url, self._max_bytes)
        self._size = write(
            response, self._to, at=at, url=self._url, max_bytes=self._max_bytes, stop=self._stop
        )
        # http.client takes the end of the connection for the end of the file.
        if length is not None and self._size < at + length:
            cut = f"the answer was cut off after {self._size} of {at + length} bytes"
            raise TryAgain(cut, progress=self._resumable and self._size > before)
        return Download(self._size, self._version)

    def _refused(self, error: urllib.error.HTTPError) -> Download:
        said = f"HTTP {error.code} {error.reason}"
        if error.code == http.client.NOT_MODIFIED:
            return Download(0, self._known, unchanged=True)
        if error.code in (404, 410):
            raise NoSuchFileError(f"{public(self._url)}: {said}") from error
        if error.code in (401, 403):
            raise RefusedError(f"{public(self._url)}: {said}") from error
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and self._size:
            self._size = 0
            raise TryAgain(said) from error
        if error.code >= 500 or error.code in _MAY_PASS:
            raise TryAgain(said, after=float(_number(error.headers.get("Retry-After")) or 0)) from error
        raise DownloadError(f"{public(self._url)}: {said}") from error


def _copy(url: str, source: Path, to: Path, max_bytes: int) -> int:
    try:
        if not source.is_file():
            raise NoSuchFileError(f"{url}: no such file in the runner's pod")
        if source.stat().st_size > max_bytes:
            raise too_large(url, max_bytes)
        shutil.copyfile(source, to)
        return to.stat().st_size
    except OSError as error:
        raise DownloadError(f"{url}: {error.strerror or error}") from error


def _number(text: str | None) -> int | None:
    fits = text is not None and re.fullmatch(r"[0-9]{1,18}", text)
    return int(fits[0]) if fits else None
