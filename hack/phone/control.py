"""The phone's control port: what it saw, what it is, and what shall go wrong.

GET  /log[?event=KIND]  the journal as JSON lines
GET  /state             installs, sessions, overlaps, packages and their data, as JSON
POST /fault             a fault's name as the body (faults.py): vanish, install:INSTALL_FAILED_X, reboot:2, none
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from . import faults

if TYPE_CHECKING:
    from .device import Device

_MAX_BODY = 4096


class Control:
    """A small HTTP/1.1 server in the phone's event loop: one request a connection."""

    def __init__(self, device: Device, host: str, port: int) -> None:
        self._device = device
        self._host = host
        self.port = port

    async def listen(self) -> None:
        """Starts to listen; `port` is the real one afterwards, where it was 0."""
        server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, target, _ = (await reader.readline()).decode("latin-1").split(" ", 2)
            size = 0
            while (line := await reader.readline()).strip():
                name, _, value = line.decode("latin-1").partition(":")
                if name.lower() == "content-length":
                    size = min(int(value), _MAX_BODY)
            body = (await reader.readexactly(size)).decode(errors="replace")
            status, kind, text = self.answer(method, target, body)
        except (ValueError, ConnectionError, asyncio.IncompleteReadError):
            status, kind, text = "400 Bad Request", "text/plain", "not understood\n"
        data = text.encode()
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + data
        )
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    def answer(self, method: str, target: str, body: str) -> tuple[str, str, str]:
        """One request: status line, content type, text."""
        url = urlsplit(target)
        if (method, url.path) == ("GET", "/log"):
            only = parse_qs(url.query).get("event", [None])[0]
            return "200 OK", "application/jsonl", self._device.journal.lines(only)
        if (method, url.path) == ("GET", "/state"):
            return "200 OK", "application/json", json.dumps(self._device.state(), indent=2) + "\n"
        if (method, url.path) == ("POST", "/fault"):
            try:
                self._device.set_fault(faults.parse(body))
            except faults.UnknownFaultError as e:
                return "400 Bad Request", "text/plain", f"{e}\n"
            return "200 OK", "text/plain", "ok\n"
        return "404 Not Found", "text/plain", __doc__ or ""
