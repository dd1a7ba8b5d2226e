"""adb's `sync:` service: push, pull and stat of files. After AOSP's packages/modules/adb/SYNC.TXT."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Stream

_FOLDERS = ("/", "/data/local/tmp", "/sdcard")
_CHUNK = 64 * 1024


async def serve(stream: Stream, files: dict[str, bytes]) -> None:
    """Answers requests until QUIT or the stream's end."""
    while True:
        command, size = struct.unpack("<4sI", await stream.read_exactly(8))
        if command == b"QUIT":
            return
        path = (await stream.read_exactly(size)).decode()
        if command == b"STAT":
            content = files.get(path)
            folder = path.rstrip("/") in _FOLDERS or path == "/"
            mode = 0o100644 if content is not None else 0o40755 if folder else 0
            await stream.write(b"STAT" + struct.pack("<III", mode, len(content or b""), 0))
        elif command == b"SEND":
            files[path.rsplit(",", 1)[0]] = await _receive(stream)
            await stream.write(b"OKAY" + struct.pack("<I", 0))
        elif command == b"RECV":
            await _deliver(stream, files.get(path))
        else:
            await _fail(stream, "unsupported request")


async def _receive(stream: Stream) -> bytes:
    content = bytearray()
    while True:
        kind, size = struct.unpack("<4sI", await stream.read_exactly(8))
        if kind == b"DONE":  # `size` is the file's time then
            return bytes(content)
        content += await stream.read_exactly(size)


async def _deliver(stream: Stream, content: bytes | None) -> None:
    if content is None:
        await _fail(stream, "No such file or directory")
        return
    for at in range(0, len(content), _CHUNK):
        part = content[at : at + _CHUNK]
        await stream.write(b"DATA" + struct.pack("<I", len(part)) + part)
    await stream.write(b"DONE" + struct.pack("<I", 0))


async def _fail(stream: Stream, why: str) -> None:
    await stream.write(b"FAIL" + struct.pack("<I", len(why)) + why.encode())
