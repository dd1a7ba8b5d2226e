"""One HTTPS session with the API server: credentials, JSON, and repeating what may be repeated.

A GET is repeated while the server is away or overloaded. A write is repeated by itself only where it was
surely not carried out (429, 401, never sent); after any other failure only its sender knows what to look at.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import aiohttp

from testqueue.kube.credentials import CredentialsError
from testqueue.kube.errors import ApiError, Unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping

    import kopf

    from testqueue.kube.credentials import Credentials

Object = dict[str, Any]
PatchKind = Literal["merge", "json", "apply"]

REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
PAGE: Final = 500
_TRIES: Final = 6
_PATCH_TYPES: Final[Mapping[PatchKind, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


def backoff(attempt: int, *, first: float = 0.2, most: float = 10.0) -> float:
    """Seconds to wait after the failure of that number (1 is the first): doubling, capped, with jitter."""
    limit = min(first * 2.0 ** min(attempt - 1, 16), most)
    return limit * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


class ApiSession:
    """Requests to one API server, as one user. Use it as an async context manager."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        count_write: Callable[[str, str, str], None] = lambda *_: None,
        user_agent: str = "qgjob-operator",
    ) -> None:
        """`count_write` is told each write that was sent: its verb, path, and status code or `lost`."""
        self._credentials = credentials
        self._count_write = count_write
        self._user_agent = user_agent
        self._client: aiohttp.ClientSession | None = None
        self._ssl_for: kopf.ConnectionInfo | None = None
        self._ssl: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        """Open it; nothing is sent yet."""
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            headers={"User-Agent": self._user_agent, "Accept": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it, watches included."""
        if self._client is not None:
            await self._client.close()

    @property
    def server(self) -> str:
        """The API server's address, for messages."""
        return self._credentials.current().server

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Object:
        """GET, repeated while the server is away, some seconds in all. Raises ApiError or Unreachable."""
        return await self._send("GET", path, params=params)

    async def pages(
        self, path: str, *, field_selector: str = "", label_selector: str = "", limit: int = PAGE
    ) -> AsyncIterator[Object]:
        """LIST in chunks; yields each chunk's list object. Raises ApiError (410 when it took too long)."""
        params = {"limit": str(limit)}
        if field_selector:
            params["fieldSelector"] = field_selector
        if label_selector:
            params["labelSelector"] = label_selector
        while True:
            page = await self.get(path, params)
            yield page
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            params["continue"] = token

    async def items(self, path: str, *, field_selector: str = "", label_selector: str = "") -> list[Object]:
        """LIST, whole. For selections that are small."""
        found: list[Object] = []
        async for page in self.pages(path, field_selector=field_selector, label_selector=label_selector):
            found.extend(page.get("items") or ())
        return found

    async def create(self, path: str, body: Object, *, guard: Callable[[], None] | None = None) -> Object:
        """POST. `guard` runs before each sending and may raise."""
        return await self._send("POST", path, body=body, content_type="application/json", guard=guard)

    async def replace(self, path: str, body: Object, *, guard: Callable[[], None] | None = None) -> Object:
        """PUT, see create."""
        return await self._send("PUT", path, body=body, content_type="application/json", guard=guard)

    async def patch(
        self,
        path: str,
        body: Object | list[Object],
        *,
        kind: PatchKind = "merge",
        guard: Callable[[], None] | None = None,
    ) -> Object:
        """PATCH, see create."""
        return await self._send("PATCH", path, body=body, content_type=_PATCH_TYPES[kind], guard=guard)

    async def delete(
        self, path: str, body: Object | None = None, *, guard: Callable[[], None] | None = None
    ) -> Object:
        """DELETE; `body` are DeleteOptions, with the preconditions. See create."""
        return await self._send("DELETE", path, body=body or {}, content_type="application/json", guard=guard)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """GET an endless answer: yields its lines as they come. Not repeated.

        Raises ApiError, and Unreachable when it breaks off or nothing comes for `silence_seconds`.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
        try:
            async with self._request("GET", path, params=params, timeout=timeout) as answer:
                if answer.status == 401:
                    self._renew_credentials()
                if answer.status >= 400:
                    raise await self._refusal(answer)
                yield _lines(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_why(error), sent=True) from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
        guard: Callable[[], None] | None = None,
    ) -> Object:
        refused_credentials = False
        for attempt in range(1, _TRIES + 1):
            if guard is not None:
                guard()
            try:
                return await self._send_once(method, path, params, body, content_type)
            except ApiError as error:
                if error.status == 401 and not refused_credentials:
                    refused_credentials = True
                    self._renew_credentials()
                    continue
                repeatable = error.status == 429 or (method == "GET" and error.is_transient)
                if not repeatable or attempt == _TRIES:
                    raise
                pause = max(error.retry_after or 0.0, backoff(attempt))
            except Unreachable as error:
                if (error.sent and method != "GET") or attempt == _TRIES:
                    raise
                pause = backoff(attempt)
            await asyncio.sleep(pause)
        raise AssertionError("the last try raises")

    async def _send_once(
        self, method: str, path: str, params: Mapping[str, str] | None, body: Any, content_type: str
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": content_type} if content_type else None
        code = ""
        try:
            async with self._request(
                method, path, params=params, data=data, headers=headers, timeout=timeout
            ) as answer:
                code = str(answer.status)
                if answer.status >= 400:
                    raise await self._refusal(answer)
                decoded = json.loads(await answer.read())
                if not isinstance(decoded, dict):
                    raise ApiError(answer.status, "Malformed", f"{path} is not a JSON object")
                return decoded
        except aiohttp.ClientConnectorError as error:
            if isinstance(error, aiohttp.ClientSSLError):
                self._ssl = None  # the authority's file may have been replaced
            raise Unreachable(f"{self.server}: {_why(error)}", sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            code = code or "lost"
            raise Unreachable(f"{self.server}: {_why(error)}", sent=True) from error
        finally:
            if code and method != "GET":
                self._count_write(method.lower(), path, code)

    def _request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        if self._client is None:
            raise RuntimeError("the session is not open")
        try:
            info = self._credentials.current()
        except CredentialsError as error:
            raise Unreachable(str(error), sent=False) from error
        return self._client.request(
            method,
            info.server + path,
            headers={**info.as_http_headers(), **(headers or {})},
            ssl=self._ssl_context(info) if info.server.startswith("https:") else True,
            proxy=info.proxy_url,
            **options,
        )

    def _ssl_context(self, info: kopf.ConnectionInfo) -> ssl.SSLContext:
        # Connections are pooled by context, so it is made anew only when the credentials are.
        if self._ssl is None or info is not self._ssl_for:
            try:
                self._ssl = info.as_ssl_context()
            except (OSError, ValueError) as error:
                raise Unreachable(f"certificates: {_why(error)}", sent=False) from error
            self._ssl_for = info
        return self._ssl

    def _renew_credentials(self) -> None:
        try:
            self._credentials.current(renew=True)
        except CredentialsError as error:
            raise Unreachable(str(error), sent=False) from error

    @staticmethod
    async def _refusal(answer: aiohttp.ClientResponse) -> ApiError:
        text = (await answer.read()).decode(errors="replace")
        try:
            status = json.loads(text)
        except ValueError:
            status = {}
        if not isinstance(status, dict):
            status = {}
        try:
            retry_after = float(answer.headers.get("Retry-After", ""))
        except ValueError:
            retry_after = None
        return ApiError(
            answer.status,
            str(status.get("reason") or answer.reason or ""),
            str(status.get("message") or text[:500].strip()),
            details=status.get("details"),
            retry_after=retry_after,
        )


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # StreamReader's own lines are limited to 128 KiB; a TestBatch of 1,000 TestJobs is longer.
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" not in chunk:
            continue
        *whole, tail = bytes(rest).split(b"\n")
        rest = bytearray(tail)
        for line in whole:
            if line:
                yield line


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__
