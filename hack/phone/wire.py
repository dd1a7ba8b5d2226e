"""The adb protocol as a phone's adbd speaks it: messages, and the streams that they carry.

After AOSP's packages/modules/adb/protocol.txt. TLS and compression are left out: adb does not ask for what the banner
does not offer. Of authentication there is only the refusal: a phone that trusts nobody asks, and takes no key.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

CNXN, OPEN, OKAY, CLSE, WRTE, AUTH = (
    int.from_bytes(w, "little") for w in (b"CNXN", b"OPEN", b"OKAY", b"CLSE", b"WRTE", b"AUTH")
)
_TOKEN, _TOKEN_BYTES = 1, 20

# From this version on the sender leaves the checksum out, which would cost more than all the rest.
VERSION = 0x01000001
MAX_PAYLOAD = 1024 * 1024

_HEADER = struct.Struct("<IIIIII")


class StreamClosed(Exception):  # noqa: N818 - the ordinary end of a stream
    """The other side has closed the stream, or the connection is gone."""


class Stream:
    """One two-way stream on a connection: a shell command, a file transfer, a forwarded port."""

    def __init__(self, connection: Connection, number: int, remote: int, destination: str) -> None:
        self.connection = connection
        self.number = number
        self.remote = remote
        self.destination = destination
        self.closed = asyncio.Event()
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._acknowledged = asyncio.Event()

    async def read(self, limit: int = 65536) -> bytes:
        """At most `limit` bytes, at least one; empty at the stream's end."""
        while not self._buffer and not self.closed.is_set():
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return data

    async def read_exactly(self, count: int) -> bytes:
        """Raises StreamClosed where the stream ends before."""
        while len(self._buffer) < count:
            if self.closed.is_set():
                raise StreamClosed
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def write(self, data: bytes) -> None:
        """Returns when adb has taken the data. Raises StreamClosed."""
        for at in range(0, len(data), MAX_PAYLOAD):
            if self.closed.is_set():
                raise StreamClosed
            self._acknowledged.clear()
            self.connection.send(WRTE, self.number, self.remote, data[at : at + MAX_PAYLOAD])
            await self._acknowledged.wait()
        if self.closed.is_set():
            raise StreamClosed

    def close(self) -> None:
        if not self.closed.is_set():
            self.connection.send(CLSE, self.number, self.remote)
            self.connection.forget(self)
            self.end()

    # What the connection tells the stream.

    def received(self, data: bytes) -> None:
        self._buffer += data
        self._arrived.set()

    def acknowledged(self) -> None:
        self._acknowledged.set()

    def end(self) -> None:
        self.closed.set()
        self._arrived.set()
        self._acknowledged.set()


Service = Callable[[Stream], Awaitable[None]]


class Connection:
    """One adb server's connection to the phone. `client` is its address: one per pod or laptop."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        banner: str,
        find_service: Callable[[Stream], Service | None],
        on_online: Callable[[Connection], None],
        trusts: bool = True,
    ) -> None:
        host, port = writer.get_extra_info("peername")[:2]
        self.client = f"{host}:{port}"
        self.was_online = False
        self._on_online = on_online
        self._trusts = trusts
        self._reader = reader
        self._writer = writer
        self._banner = banner
        self._find_service = find_service
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    async def serve(self, frozen: Callable[[], Awaitable[None]]) -> None:
        """Answers until the connection ends. Before each message it waits for `frozen` to return."""
        try:
            while True:
                command, a, b, size, _, _ = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                data = await self._reader.readexactly(size) if size else b""
                await frozen()
                self._handle(command, a, b, data)
                await self._writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._end()

    def send(self, command: int, a: int, b: int, data: bytes = b"") -> None:
        self._writer.write(_HEADER.pack(command, a, b, len(data), 0, command ^ 0xFFFFFFFF) + data)

    def drop(self) -> None:
        """Cuts the connection without a word, as a phone that vanishes does."""
        self._writer.transport.abort()
        self._end()

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)

    def _handle(self, command: int, a: int, b: int, data: bytes) -> None:
        if not self._trusts:
            # To the connection as well as to each key: another token.
            self.send(AUTH, _TOKEN, 0, bytes(_TOKEN_BYTES))
        elif command == CNXN:
            self.was_online = True
            self._on_online(self)
            self.send(CNXN, VERSION, MAX_PAYLOAD, self._banner.encode())
        elif command == OPEN:
            self._open(a, data.rstrip(b"\0").decode(errors="replace"))
        elif stream := self._streams.get(b):
            if command == WRTE:
                self.send(OKAY, stream.number, stream.remote)
                stream.received(data)
            elif command == OKAY:
                stream.acknowledged()
            elif command == CLSE:
                self.forget(stream)
                stream.end()

    def _open(self, remote: int, destination: str) -> None:
        self._last += 1
        stream = Stream(self, self._last, remote, destination)
        service = self._find_service(stream)
        if service is None:
            self.send(CLSE, 0, remote)
            return
        self._streams[stream.number] = stream
        self.send(OKAY, stream.number, remote)
        task = asyncio.create_task(self._run(service, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, service: Service, stream: Stream) -> None:
        with suppress(StreamClosed):
            await service(stream)
        stream.close()

    def _end(self) -> None:
        for stream in self._streams.values():
            stream.end()
        self._streams.clear()
        self._writer.close()
