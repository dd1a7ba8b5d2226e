"""A plain HTTP server in front of an API server: it notes every request, and can lose answers.

An answer that is cut was acted on: the request reached the API server, and the client can't know.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import yaml

from qgjob.client.config import from_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Request:
    """One request as it came, and what the API server said to it."""

    method: str
    path: str
    body: bytes
    status: int

    @property
    def is_write(self) -> bool:
        return self.method not in ("GET", "HEAD")


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that are killed leave broken connections behind, which is the point."""


class Proxy:
    """Use it as a context manager; `kubeconfig` leads through it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._server = from_kubeconfig(str(kubeconfig), None)
        self.requests: list[Request] = []
        #: Cut the answer to a request (after it was passed on) when this says so.
        self.cut: Callable[[Request], bool] = lambda _: False
        #: Called before a request is passed on.
        self.before: Callable[[str, str, bytes], None] = lambda _method, _path, _body: None
        #: Answer with this status, without passing it on, where it is not 0.
        self.refuse: Callable[[str, str], int] = lambda _method, _path: 0
        self._http = _Server(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.kubeconfig = folder / "proxied.kubeconfig"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "proxied",
                    "clusters": [
                        {
                            "name": "proxied",
                            "cluster": {"server": f"http://127.0.0.1:{self._http.server_port}"},
                        }
                    ],
                    "users": [{"name": "nobody", "user": {}}],
                    "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "nobody"}}],
                }
            )
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def writes(self, part: str) -> list[Request]:
        """The accepted writes whose path contains that part."""
        return [each for each in self.requests if each.is_write and part in each.path and each.status < 300]

    def _forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        address = urlsplit(self._server.server)
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=self._server.tls, timeout=30
        )
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _watch(self, path: str, headers: dict[str, str], send: Callable[[bytes], object]) -> None:
        """Pass a watch's lines on as they come; they are not noted, and never cut."""
        address = urlsplit(self._server.server)
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=self._server.tls
        )
        try:
            connection.request("GET", path, None, headers)
            answer = connection.getresponse()
            while line := answer.readline():
                send(line)
        finally:
            connection.close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = {
                    name: value for name, value in self.headers.items() if name in ("Content-Type", "Accept")
                }
                if status := proxy.refuse(self.command, self.path):
                    self._answer(status, b"{}")
                    return
                proxy.before(self.command, self.path, body)
                if "watch=1" in self.path:
                    self._pass_watch_on(kept)
                    return
                try:
                    status, content = proxy._forward(self.command, self.path, body, kept)
                except OSError:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                request = Request(self.command, self.path, body, status)
                proxy.requests.append(request)
                if proxy.cut(request):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self._answer(status, content)

            def _pass_watch_on(self, headers: dict[str, str]) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    proxy._watch(
                        self.path, headers, lambda line: (self.wfile.write(line), self.wfile.flush())
                    )

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler
