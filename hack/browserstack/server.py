"""HTTP in front of the cloud: credentials, faults, and the control that tests use.

GET  /control/log[?event=KIND]  the journal as JSON lines
GET  /control/state             uploads, sessions, what is open, the plan
POST /control/fault             a fault's name as the body (faults.py)
POST /control/others?running=N&queued=N  other people's sessions
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from . import faults, hub, rest
from .cloud import RefusedError

if TYPE_CHECKING:
    from .cloud import Cloud

_REAPER_SECONDS = 0.5
_VIDEO = b"\0\0\0\x18ftypmp42" + b"a simulated video"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def _answer(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path.startswith("/control/"):
            self._control(path, query, body)
            return
        kind = self.cloud.fault.kind
        if kind == "hang-after" and path.startswith(hub.PATH):
            self._count_down()
        if path.startswith(hub.PATH):
            self.cloud.wait_while("hang")
        else:
            self.cloud.wait_while("api-hang")
        if kind == "reset-uploads" and path.endswith("/upload"):
            self._reset()
        elif path.endswith("/video"):
            self._send(200, _VIDEO, "video/mp4")
        elif (refusal := self._refusal(path)) is not None:
            status, text, headers = refusal
            self._send(status, text.encode(), "text/html; charset=utf-8", headers)
        elif path.startswith(hub.PATH):
            status, document = hub.answer(self.cloud, self.command, path, json.loads(body or b"{}"))
            self._json(status, document)
        else:
            self._rest(path, query, body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: the journal says what matters."""

    def _rest(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        base = f"http://{self.headers.get('Host', 'localhost')}"
        kind = self.headers.get("Content-Type", "")
        try:
            document = rest.answer(self.cloud, rest.Request(self.command, path, query, kind, body, base))
        except RefusedError as e:
            self._json(e.status, {"error": e.text})
        else:
            self._json(200, document)

    def _refusal(self, path: str) -> tuple[int, str, dict[str, str]] | None:
        """What is answered in place of everything else."""
        fault = self.cloud.fault
        # The hub knows who asks only where a session begins; after that, the session's id is enough.
        with_credentials = not path.startswith(hub.PATH) or path == f"{hub.PATH}/session"
        if fault.kind == "down" or (fault.kind == "hub-503" and path.startswith(hub.PATH)):
            return 503, "Service Unavailable", {}
        if not with_credentials:
            return None
        if fault.kind == "unauthorized" or not self._authorized():
            self.cloud.journal.note("refused", status=401, path=path)
            return 401, "HTTP Basic: Access denied.\n", {}
        if fault.kind == "forbidden":
            return 403, "Access to API denied.", {}
        if fault.kind == "rate-limit" and not path.startswith(hub.PATH):
            self.cloud.journal.note("rate-limited", path=path)
            after = {"Retry-After": str(max(1, round(fault.number)))} if fault.number else {}
            return 429, "Too many requests", after
        return None

    def _authorized(self) -> bool:
        said = self.headers.get("Authorization", "")
        wanted = base64.b64encode(":".join(self.cloud.credentials).encode()).decode()
        return said == f"Basic {wanted}"

    def _reset(self) -> None:
        """Ends the connection as a middlebox does that has lost it."""
        fault = self.cloud.fault
        self.cloud.set_fault(
            faults.Fault("reset-uploads", "", fault.number - 1) if fault.number > 1 else faults.Fault()
        )
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _count_down(self) -> None:
        fault = self.cloud.fault
        left = fault.number - 1
        self.cloud.set_fault(faults.Fault("hang-after", "", left) if left > 0 else faults.Fault("hang"))

    def _control(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        what = (self.command, path.removeprefix("/control"))
        if what == ("GET", "/log"):
            only = query.get("event", [None])[0]
            self._send(200, self.cloud.journal.lines(only).encode(), "application/jsonl")
        elif what == ("GET", "/state"):
            self._json(200, self.cloud.state())
        elif what == ("POST", "/others"):
            running, queued = (int(query.get(name, ["0"])[0]) for name in ("running", "queued"))
            self.cloud.set_others(running, queued)
            self._send(200, b"ok\n", "text/plain")
        elif what == ("POST", "/fault"):
            try:
                self.cloud.set_fault(faults.parse(body.decode(errors="replace")))
            except faults.UnknownFaultError as e:
                self._send(400, f"{e}\n".encode(), "text/plain")
            else:
                self._send(200, b"ok\n", "text/plain")
        else:
            self._send(404, (__doc__ or "").encode(), "text/plain")

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(content)

    def _json(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        # A client that was killed is not there to hear it.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"Content-Type": kind, **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """Listens already; `serve_forever` answers. Ends idle sessions beside that."""

    daemon_threads = True

    def __init__(self, cloud: Cloud, host: str, port: int) -> None:
        super().__init__((host, port), type("BoundHandler", (Handler,), {"cloud": cloud}))
        self._cloud = cloud
        self._closed = threading.Event()
        threading.Thread(target=self._reap, daemon=True).start()

    def server_close(self) -> None:
        """Stops listening."""
        self._closed.set()
        super().server_close()

    def _reap(self) -> None:
        while not self._closed.wait(_REAPER_SECONDS):
            self._cloud.end_idle()
