"""Requests to BrowserStack's REST API, tried again where that can help, and its refusals in plain words."""

from __future__ import annotations

import base64
import http.client
import json
import random
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..drivers.base import InfrastructureError, Stopped
from ..redirects import opener
from .texts import CREDENTIALS, CREDENTIALS_REFUSED, NETWORK, RATE_LIMITED, UNREACHABLE, with_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from qgjob.api.providers import BrowserStack

    from ..stop import StopToken

USERNAME: Final = "BROWSERSTACK_USERNAME"
ACCESS_KEY: Final = "BROWSERSTACK_ACCESS_KEY"

_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_ANSWER_CHARACTERS: Final = 300


class RefusedError(Exception):
    """BrowserStack answered, and said no: a status that is neither of the credentials' nor of the moment's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status, self.text = status, text


class Api:
    """Safe to use from several threads."""

    #: A request may be silent so long, and is tried again for so long.
    request_seconds: float = 20.0
    patience_seconds: float = 120.0

    def __init__(
        self, provider: BrowserStack, environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        """Raises InfrastructureError where the environment has no credentials."""
        self.provider = provider
        self._log = log
        username, key = environment.get(USERNAME, "").strip(), environment.get(ACCESS_KEY, "").strip()
        if not username or not key:
            raise InfrastructureError(
                "the runner has no credentials for BrowserStack: "
                f"the Secret {provider.credentials_secret} needs the keys username and accessKey",
                reason="CredentialsMissing",
            )
        self.credentials = {USERNAME: username, ACCESS_KEY: key}
        self._opener = opener(["Authorization"])
        self._authorization = "Basic " + base64.b64encode(f"{username}:{key}".encode()).decode()

    def request(
        self,
        method: str,
        url: str,
        *,
        stop: StopToken,
        content: Any = None,
        timeout: float | None = None,
        patience: float | None = None,
    ) -> Any:
        """One request; returns the JSON of its answer. `content` is sent as JSON.

        What may pass (429, whose Retry-After is honoured, 5xx, no answer) is tried again for `patience` seconds;
        `timeout` is the longest silence of one try.

        Raises:
            RefusedError: another 4xx.
            InfrastructureError: the credentials are refused, or there was no good answer in time.
            Stopped: `stop` was requested.
        """
        data = None if content is None else json.dumps(content).encode()
        return self.send(
            method,
            url,
            data=lambda: data,
            headers={} if data is None else {"Content-Type": "application/json"},
            stop=stop,
            timeout=self.request_seconds if timeout is None else timeout,
            patience=self.patience_seconds if patience is None else patience,
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        data: Callable[[], bytes | BinaryIO | None],
        headers: Mapping[str, str],
        stop: StopToken,
        timeout: float,
        patience: float,
    ) -> Any:
        """The same with any body, made anew for each try, and its headers."""
        deadline = time.monotonic() + patience
        pause = _FIRST_PAUSE_SECONDS
        while True:
            if stop.requested:
                raise Stopped(stop.reason)
            try:
                return self._once(method, url, data(), headers, timeout)
            except _Later as later:
                wait = later.seconds or pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreads pods out
                if time.monotonic() + wait > deadline:
                    raise self._given_up(url, later) from later
                self._log(f"BrowserStack: {_place(url)}: {later}; trying again in {wait:.0f} s")
            stop.wait(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def silence(self, url: str, seconds: float) -> str:
        """Why nobody is at work at a URL (no answer within so many seconds, a 5xx); empty for any other answer."""
        try:
            with urllib.request.urlopen(url, timeout=seconds):  # noqa: S310 - the CRD takes http and https only
                return ""
        except urllib.error.HTTPError as error:
            with error:
                said = f"HTTP {error.code} {_said(error)}".strip()
            return f"BrowserStack answers at {_place(url)}: {said}" if error.code >= 500 else ""
        except (OSError, http.client.HTTPException) as error:
            return f"BrowserStack does not answer at {_place(url)}: {_why(error)}"

    def _once(
        self,
        method: str,
        url: str,
        data: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the CRD takes http and https only
            url,
            data,
            {
                **headers,
                "Authorization": self._authorization,
                "Accept": "application/json",
                "User-Agent": "qgjob-runner",
            },
            method=method,
        )
        try:
            with self._opener.open(request, timeout=timeout) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(url, error)
        except (OSError, http.client.HTTPException) as error:
            raise _Later(_why(error), reason=UNREACHABLE) from error
        except ValueError as error:
            raise _Later("the answer is no JSON", reason=UNREACHABLE) from error

    def _refuse(self, url: str, error: urllib.error.HTTPError) -> NoReturn:
        text = _said(error)
        said = f"HTTP {error.code} {text}".strip()
        if error.code in (401, 403):
            secret = self.provider.credentials_secret
            raise InfrastructureError(
                f"BrowserStack refuses the credentials ({said}): {CREDENTIALS.format(secret=secret)}",
                reason=CREDENTIALS_REFUSED,
            ) from error
        if error.code == 429:
            raise _Later(said, reason=RATE_LIMITED, seconds=_seconds(error.headers.get("Retry-After")))
        if error.code >= 500 or error.code == 408:
            raise _Later(said, reason=UNREACHABLE)
        raise RefusedError(error.code, text or f"{_place(url)} was refused") from error

    @staticmethod
    def _given_up(url: str, later: _Later) -> InfrastructureError:
        if later.reason == RATE_LIMITED:
            message = f"BrowserStack answers that there are too many requests ({later}): lower the target's parallelism"
        else:
            message = with_advice(f"BrowserStack can't be reached: {_place(url)}: {later}", NETWORK)
        return InfrastructureError(message, reason=later.reason)


class _Later(Exception):  # noqa: N818
    """It went wrong in a way that may pass."""

    def __init__(self, text: str, *, reason: str, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.reason, self.seconds = reason, seconds


def _said(error: urllib.error.HTTPError) -> str:
    """The text of a refusal: `error`, `error.message` or `message` of a JSON answer, else all of it."""
    try:
        raw = error.read(4096).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return ""
    try:
        found = json.loads(raw)
    except ValueError:
        return " ".join(raw.split())[:_ANSWER_CHARACTERS]
    if isinstance(found, dict):
        found = found.get("error") or found.get("message") or found
    if isinstance(found, dict):
        found = found.get("message") or found
    return str(found)[:_ANSWER_CHARACTERS]


def _seconds(retry_after: str | None) -> float:
    """Retry-After in seconds; 0 where it is missing, or a date (which BrowserStack does not send)."""
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:
        return 0.0


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def _place(url: str) -> str:
    return url.partition("://")[2]
