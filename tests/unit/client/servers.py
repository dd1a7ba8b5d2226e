"""HTTP servers on loopback that answer as a test says."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Handler = http.server.BaseHTTPRequestHandler


@contextmanager
def served(play: Callable[[Handler, int], None]) -> Iterator[str]:
    """The URL of a server where `play` answers each request; it gets the request's number, from 0."""
    count = 0
    connections: set[Any] = set()

    class Player(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            nonlocal count
            connections.add(self.client_address)
            number, count = count, count + 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            play(self, number)

        do_GET = do_POST = do_CONNECT = do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Player)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler: Handler, code: int, body: Any, **headers: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
