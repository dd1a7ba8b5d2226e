"""The app server: `/apps/VERSION.apk` for any semantic version, made on demand.

A version that ends in `-uninstallable` is an APK that no phone takes: it asks for a newer Android.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import apk, shop

_PATH = re.compile(r"/apps/([^/]+)\.apk")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HELP = b"GET /apps/1.4.0.apk (any semantic version; 1.4.0-uninstallable.apk is refused by phones)\n"


@lru_cache(maxsize=64)
def package(version: str) -> bytes | None:
    """The APK of a version; None where there is none."""
    app = shop.describe(version)
    if app is None:
        return None
    changes = {"min_sdk": 99} if version.endswith(shop.UNINSTALLABLE) else {}
    return apk.make(app, changes)


class Handler(BaseHTTPRequestHandler):
    """Whole files and single ranges, with a strong ETag."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        if path in ("/", "/healthz"):
            self._send(200, _HELP, {"Content-Type": "text/plain"}, with_body=with_body)
            return
        m = _PATH.fullmatch(path)
        content = package(m[1]) if m else None
        if content is None:
            self._send(404, b"no such app version\n", {"Content-Type": "text/plain"}, with_body=with_body)
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {
            "Content-Type": "application/vnd.android.package-archive",
            "ETag": etag,
            "Accept-Ranges": "bytes",
        }
        if etag in [t.strip() for t in self.headers.get("If-None-Match", "").split(",")]:
            self._send(304, b"", headers, with_body=False)
            return
        # A range of a file that has changed since (If-Range) is answered by the whole file.
        wanted = self.headers.get("Range", "") if self.headers.get("If-Range", etag) == etag else ""
        part = byte_range(wanted, len(content))
        if part is None:
            self._send(200, content, headers, with_body=with_body)
        elif part.start >= part.stop:
            self._send(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"}, with_body=False)
        else:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
            self._send(206, content[part.start : part.stop], headers, with_body=with_body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        entry = {
            "t": round(time.time(), 3),
            "event": "request",
            "method": self.command,
            "path": self.path,
            "status": int(code),
            "client": self.client_address[0],
        }
        sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()


def byte_range(header: str, size: int) -> range | None:
    """What a Range header asks for: None for the whole file, an empty range where it can't be satisfied."""
    m = _RANGE.fullmatch(header.strip())
    if not m or not (m[1] or m[2]):
        return None
    if not m[1]:
        return range(max(0, size - int(m[2])), size)
    first, last = int(m[1]), int(m[2]) if m[2] else size - 1
    if m[2] and last < first:
        return None
    return range(first, min(last + 1, size))


def server(host: str, port: int) -> ThreadingHTTPServer:
    """A server that listens already; `serve_forever` answers."""
    return ThreadingHTTPServer((host, port), Handler)
