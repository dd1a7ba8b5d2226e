"""What the client shows to say who it is: a header that may change while the program runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A mounted service account token is renewed by the kubelet well before it expires; client-go reads as often.
TOKEN_FILE_SECONDS = 60.0


class Credentials(Protocol):
    """The Authorization header, if any."""

    def authorization(self) -> str | None:
        """The header's value now."""

    def refresh(self) -> bool:
        """After a 401: look for a newer credential. True where another try makes sense."""


class StaticCredentials:
    """A token (or nothing, where a client certificate says who it is) that stays as it is."""

    def __init__(self, header: str | None = None) -> None:
        self._header = header

    def authorization(self) -> str | None:
        return self._header

    def refresh(self) -> bool:
        return False


class TokenFile:
    """A bearer token in a file that somebody else renews."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._read_at = 0.0

    def authorization(self) -> str:
        with self._lock:
            if not self._token or self._clock() - self._read_at >= TOKEN_FILE_SECONDS:
                self._read()
            return f"Bearer {self._token}"

    def refresh(self) -> bool:
        with self._lock:
            before = self._token
            self._read()
            return self._token != before

    def _read(self) -> None:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except OSError as error:
            if self._token:  # better the old one, which may still be good, than none
                return
            raise ConfigError(f"can't read the token file {self._path}: {error.strerror}") from error
        self._token = token
        self._read_at = self._clock()


class HookCredentials:
    """A header that a function gives, asked again after a 401 (exec plugins, OIDC)."""

    def __init__(self, read: Callable[[], str | None]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._header = read()

    def authorization(self) -> str | None:
        with self._lock:
            return self._header

    def refresh(self) -> bool:
        with self._lock:
            before = self._header
            self._header = self._read()
            return self._header != before
