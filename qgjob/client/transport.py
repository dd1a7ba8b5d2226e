"""HTTP requests to one API server over kept-alive connections. Safe to use from several threads."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from .errors import ApiError, Unreachable

if TYPE_CHECKING:
    from .config import ServerConfig

Query = Mapping[str, str | int | bool | None]

#: 429 says that the request was not carried out, so any verb may be sent again. client-go does it ten times.
MAX_THROTTLED = 10
_GET_RETRY_SECONDS = 0.5
#: Of an answer that can't be understood, for people.
_QUOTED_BYTES = 120


class Stream:
    """The lines of a response that goes on (a watch, a followed log).

    Iterate over it in one thread; `close` may be called from another one and ends the iteration.
    """

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, server: str
    ) -> None:
        self._connection = connection
        self._response = response
        #: In words, for errors.
        self.server = server
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while not self._closed:
                line = self._response.readline()
                if not line:
                    return
                yield line
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # ValueError and AttributeError: http.client's own answers to a file that `close` took away.
            if not self._closed:
                raise Unreachable(f"the connection to {self.server} broke: {_say(error)}") from error
        finally:
            self.close()

    def pieces(self, size: int = 256 * 1024) -> Iterator[bytes]:
        """The content as bytes, where it is not lines: up to `size` at once."""
        expected, got = self._response.length, 0
        try:
            while piece := self._response.read1(size):
                got += len(piece)
                yield piece
            if expected is not None and got < expected:
                raise Unreachable(f"the connection to {self.server} broke after {got} of {expected} bytes")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the connection to {self.server} broke: {_say(error)}") from error
        finally:
            self.close()

    def close(self) -> None:
        """End it, also while another thread waits for the next line."""
        if self._closed:
            return
        self._closed = True
        if sock := self._connection.sock:
            # shutdown of the plain socket wakes a reader; closing alone would not.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transport:
    """Sends requests. One connection is enough for a sequence of them; threads that meet open more."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        user_agent: str = "qgjob",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self.user_agent = user_agent
        #: Called with the text of every `Warning` header that the server sends.
        self.on_warning: Callable[[str], None] | None = None
        self._sleep = sleep
        parts = urlsplit(config.server)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._proxy = _proxy(config, self._host)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float,
        retries: int = 0,
    ) -> Any:
        """The JSON answer. `timeout` in seconds for each wait on the network; `retries` after no answer.

        Raises:
            ApiError: the server refused.
            Unreachable: there was no answer, or none of an API server (a proxy's login page, say).
        """
        for attempt in range(retries + 1):
            try:
                connection, response = self._send(
                    method, path, query=query, body=body, content_type=content_type, timeout=timeout
                )
                try:
                    content = response.read()
                except (OSError, http.client.HTTPException) as error:
                    connection.close()
                    raise self._unreachable(error) from error
                self._keep(connection, response)
                try:
                    return json.loads(content)
                except ValueError as error:
                    raise self._foreign(response, content) from error
            except (Unreachable, ApiError) as error:
                if attempt == retries or (isinstance(error, ApiError) and error.status < 500):
                    raise
                self._sleep(_GET_RETRY_SECONDS * 2**attempt)
        raise AssertionError("unreachable: the loop returns or raises")

    def stream(self, path: str, *, query: Query | None = None, timeout: float) -> Stream:
        """The lines of an answer that goes on; `timeout` is the longest silence, in seconds."""
        connection, response = self._send("GET", path, query=query, timeout=timeout)
        return Stream(connection, response, self.where)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "",
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send, and read the answer's head. Refusals are raised here, whatever the body would be used for."""
        url = self._prefix + quote(path, safe="/:-._~") + _encode(query)
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        refreshed = False
        throttled = 0
        while True:
            headers = self._headers(content_type if content is not None else "")
            connection, response = self._exchange(method, url, content, headers, timeout)
            self._warn(response)
            if response.status < 300:
                return connection, response
            try:
                text = response.read()
            except (OSError, http.client.HTTPException):
                text = b""
            self._keep(connection, response)
            if response.status < 400:
                raise self._foreign(response, text)
            error = ApiError.from_body(response.status, text, retry_after=response.headers.get("Retry-After"))
            if error.status == 401 and not refreshed and self.config.credentials.refresh():
                refreshed = True
                continue
            if error.status == 429 and error.retry_after is not None and throttled < MAX_THROTTLED:
                throttled += 1
                self._sleep(error.retry_after)
                continue
            raise error

    def _exchange(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._take()
        fresh = connection is None
        while True:
            if connection is None:
                connection = self._connect(timeout)
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                connection.request(method, url, body=content, headers=dict(headers))
                if connection.sock is not None:
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A kept connection may have been closed just now; a read may be sent again, a write may not.
                if fresh or method != "GET" or isinstance(error, TimeoutError):
                    raise self._unreachable(error) from error
                connection, fresh = None, True

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self.user_agent, **self.config.headers}
        if content_type:
            headers["Content-Type"] = content_type
        if authorization := self.config.credentials.authorization():
            headers["Authorization"] = authorization
        return headers

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._proxy or (self._host, self._port)
        if self.config.tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        else:
            name = self.config.tls_server_name or self._host
            connection = _TlsConnection(host, port, timeout=timeout, tls=self.config.tls, name=name)
        if self._proxy:
            connection.set_tunnel(self._host, self._port)
        return connection

    def _take(self) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            # An idle connection that can be read was closed by the server.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or not response.isclosed():
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _warn(self, response: http.client.HTTPResponse) -> None:
        if self.on_warning is None:
            return
        for header in response.headers.get_all("Warning") or []:
            # 299 - "text"
            text = header.split('"', 1)[-1].rsplit('"', 1)[0].replace('\\"', '"')
            self.on_warning(text)

    @property
    def where(self) -> str:
        """The server in words."""
        return self.config.server + (f" (context {self.config.context})" if self.config.context else "")

    def _foreign(self, response: http.client.HTTPResponse, content: bytes) -> Unreachable:
        """An answer that no Kubernetes API server gives."""
        location, kind = response.headers.get("Location"), response.headers.get("Content-Type")
        said = f"to {location}" if location else quoted(content)
        return not_kubernetes(self.where, f"HTTP {response.status}{f', {kind}' if kind else ''}: {said}")

    def _unreachable(self, error: Exception) -> Unreachable:
        where = self.where
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                f"the certificate of {where} isn't trusted ({error.verify_message}): "
                "check certificate-authority-data in the kubeconfig"
            )
        return Unreachable(
            f"no answer from the Kubernetes API server {where}: {_say(error)}. "
            "Is the cluster up, and the kubeconfig the right one?"
        )


class _TlsConnection(http.client.HTTPConnection):
    """HTTPS, also through a proxy's tunnel, with the name to check the certificate for given apart."""

    default_port = 443

    def __init__(self, host: str, port: int, *, timeout: float, tls: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=timeout)
        self._tls = tls
        self._name = name

    def connect(self) -> None:
        super().connect()
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def not_kubernetes(where: str, what: str) -> Unreachable:
    """The error for an answer that only something between here and the API server can have given."""
    return Unreachable(
        f"what answers at {where} is no Kubernetes API server ({what}). "
        "Is a proxy or a login page in between, and the kubeconfig the right one?"
    )


def quoted(content: bytes) -> str:
    """The beginning of it, on one line."""
    text = " ".join(content[:_QUOTED_BYTES].decode(errors="replace").split())
    return repr(text + ("…" if len(content) > _QUOTED_BYTES else "")) if text else "nothing"


def _encode(query: Query | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value not in (None, "", False)}
    if not given:
        return ""
    return "?" + urlencode({key: "true" if value is True else value for key, value in given.items()})


def _proxy(config: ServerConfig, host: str) -> tuple[str, int] | None:
    """The http proxy to tunnel through: the kubeconfig's, else HTTPS_PROXY unless NO_PROXY names the host."""
    address = config.proxy
    if not address:
        if config.tls is None or not (os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")):
            return None
        import urllib.request  # noqa: PLC0415 - 20 ms that most users need not pay

        # Never for the machine itself, whatever NO_PROXY says: what Go's programs do, kubectl among them.
        if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
            return None
        address = urllib.request.getproxies_environment().get("https")
    if not address:
        return None
    parts = urlsplit(address if "//" in address else f"//{address}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None


def _say(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
