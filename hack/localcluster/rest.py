"""Talking HTTPS and JSON to the cluster's parts, every certificate checked."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.certificates import KeyPair


class ApiError(Exception):
    """The server answered, and said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class ApiClient:
    """A client for one server. Each request is a connection of its own: nothing here is in a hurry."""

    def __init__(
        self,
        url: str,
        *,
        authority: Path | None = None,
        client: KeyPair | None = None,
        timeout_seconds: float = 10,
    ) -> None:
        self.url = url
        self._address = urlsplit(url)
        self._timeout = timeout_seconds
        self._context: ssl.SSLContext | None = None
        if self._address.scheme == "https":
            self._context = ssl.create_default_context(cafile=str(authority) if authority else None)
            if client is not None:
                self._context.load_cert_chain(str(client.certificate), str(client.key))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        accept: str = "application/json",
    ) -> Any:
        """Send one request; return the decoded JSON, or the text where the answer is none.

        Raises ApiError when the server refuses, OSError when it cannot be reached.
        """
        connection = self._connect()
        try:
            payload = None if body is None else json.dumps(body).encode()
            headers = {"Accept": accept, "Content-Type": content_type}
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            content = answer.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.url} broke off: {error!r}") from error
        finally:
            connection.close()
        decoded = _decode(content)
        if answer.status >= 400:
            message = decoded.get("message", content) if isinstance(decoded, dict) else content
            raise ApiError(answer.status, str(message).strip())
        return decoded

    def get(self, path: str) -> Any:
        """GET, see request."""
        return self.request("GET", path)

    def create(self, path: str, body: Any) -> Any:
        """POST, see request."""
        return self.request("POST", path, body)

    def delete(self, path: str) -> Any:
        """DELETE, see request."""
        return self.request("DELETE", path)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "localhost", self._address.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._context)


def _decode(content: str) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        return content
