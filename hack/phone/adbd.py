"""The phone's adb daemon: listens, and opens the services that adb asks for."""

from __future__ import annotations

import asyncio
import re
import struct
from typing import TYPE_CHECKING

from . import filesync, logcat, shell, uiautomator
from .wire import Connection, Service, Stream, StreamClosed

if TYPE_CHECKING:
    from .device import Device

_BANNER = (
    "device::ro.product.name=simulated;ro.product.model=Simulated_Phone;ro.product.device=simulated;"
    "features=shell_v2,cmd"
)
_SHELL = re.compile(r"(shell|exec)(?:,[^:]*)?:(.*)", re.DOTALL)
_STREAMED_INSTALL = re.compile(r"(?:cmd package|pm) '?install(?:-create)?'? .*'?-S'? '?(\d+)'?", re.DOTALL)
_STDOUT, _EXIT = 1, 3


class Adbd:
    """Serves one device on one port."""

    def __init__(self, device: Device, host: str, port: int) -> None:
        self.device = device
        self.host = host
        self.port = port
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Starts to listen; `port` is the real one afterwards, where it was 0."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def vanish(self) -> None:
        """Drops every connection and refuses new ones, until `listen`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.drop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(
            reader,
            writer,
            banner=_BANNER,
            find_service=self._service,
            on_online=self._online,
            trusts=self.device.fault.kind != "unauthorized",
        )
        self._connections.add(connection)
        try:
            await connection.serve(self.device.while_hanging)
        finally:
            self._connections.discard(connection)
            # Others look whether the port is open, kubelets for example: only adb is worth a line.
            if connection.was_online:
                self.device.journal.note("disconnect", client=connection.client)

    def _online(self, connection: Connection) -> None:
        self.device.journal.note("connect", client=connection.client)

    def _service(self, stream: Stream) -> Service | None:
        destination = stream.destination
        if destination == f"tcp:{uiautomator.PORT}":
            # Nothing listens there while no UiAutomator2 server runs.
            return self._automate if self.device.instrumentation else None
        if destination.startswith("sync:"):
            return self._sync
        if _SHELL.fullmatch(destination):
            return self._shell
        if destination.startswith("reboot:"):
            return self._reboot
        self.device.journal.note(
            "unknown-service", service=destination[:200], client=stream.connection.client
        )
        return None

    async def _automate(self, stream: Stream) -> None:
        await uiautomator.serve(stream, self.device)

    async def _sync(self, stream: Stream) -> None:
        await filesync.serve(stream, self.device.files)

    async def _reboot(self, stream: Stream) -> None:
        self.device.journal.note("reboot", client=stream.connection.client)

    async def _shell(self, stream: Stream) -> None:
        m = _SHELL.fullmatch(stream.destination)
        assert m is not None
        framed, line = stream.destination.startswith("shell,v2"), m[2]
        client = stream.connection.client
        if m[1] == "exec" and (sized := _STREAMED_INSTALL.match(line)):
            content = await stream.read_exactly(int(sized[1]))
            await self.device.while_installing(content)
            answer = self.device.install(
                content, client=client, downgrade="'-d'" in line, grant="'-g'" in line
            )
            await stream.write(answer.encode())
            return
        if "am instrument" in line:
            await self._instrument(stream, line, framed=framed)
            return
        if re.search(r"\blogcat\b", line) and not re.search(r"logcat.*'?-[cdt]\b", line):
            await self._follow_log(stream, line, framed=framed)
            return
        status, output = shell.run(self.device, line, client=client)
        self.device.journal.routine("shell", line=line[:300], status=status, client=client)
        await self._finish(stream, status, output, framed=framed)

    async def _follow_log(self, stream: Stream, line: str, *, framed: bool) -> None:
        """Goes on until the client closes the stream."""
        log = self.device.logcat
        last = re.search(r"'?-T'? '?(\d+)'?(?:\s|$)", line)
        position = log.position
        text = logcat.BEGINNING + log.dump(int(last[1]) if last else None)
        closed = asyncio.create_task(stream.closed.wait())
        while not stream.closed.is_set():
            await stream.write(_frame(_STDOUT, text.encode(), framed=framed))
            await self.device.while_hanging()
            more = asyncio.create_task(log.after(position))
            await asyncio.wait([more, closed], return_when=asyncio.FIRST_COMPLETED)
            if not more.done():
                more.cancel()
                break
            position, text = log.position, more.result()
        closed.cancel()

    async def _instrument(self, stream: Stream, line: str, *, framed: bool) -> None:
        client = stream.connection.client
        if "io.appium.uiautomator2.server" not in line:
            self.device.journal.note("unknown-command", command=line[:300], client=client)
            await self._finish(stream, 1, "INSTRUMENTATION_FAILED: not simulated\n", framed=framed)
            return
        running = self.device.instrument(client=client)
        if running is None:
            await self._finish(stream, 1, "INSTRUMENTATION_FAILED: not installed\n", framed=framed)
            return
        ends = [asyncio.create_task(running.killed.wait()), asyncio.create_task(stream.closed.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
        if stream.closed.is_set():
            self.device.instrumentation_lost(running, "client gone")
            raise StreamClosed
        await self._finish(stream, 0, "INSTRUMENTATION_CODE: 0\n", framed=framed)

    @staticmethod
    async def _finish(stream: Stream, status: int, output: str, *, framed: bool) -> None:
        if output:
            await stream.write(_frame(_STDOUT, output.encode(), framed=framed))
        if framed:
            await stream.write(_frame(_EXIT, bytes([status]), framed=True))


def _frame(kind: int, data: bytes, *, framed: bool) -> bytes:
    """Shell protocol v2 packs output and exit status into frames; v1 sends bare output."""
    return bytes([kind]) + struct.pack("<I", len(data)) + data if framed else data
