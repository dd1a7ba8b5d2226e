"""A device's log while one test runs on it, written as it comes: what a crash or a lost device leaves is there."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

#: The log's name in an attempt's folder, and its largest size in bytes.
NAME: Final = "device.log"
MAX_BYTES: Final = 64 * 1024 * 1024
#: A line that the device wrote just before the test's end is still on its way.
_LAST_LINES_SECONDS: Final = 0.05
_END_SECONDS: Final = 2.0


class DeviceLog:
    """Reads from `start()`, an `adb logcat` that goes on, into a file. Neither needs nor disturbs the test."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], file: Path) -> None:
        self._start = start
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> DeviceLog:
        """Where no log can be had, there is none."""
        with suppress(OSError):
            self._process = self._start()
            self._thread = threading.Thread(target=self._copy, name="device-log", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None or self._thread is None:
            return
        self._thread.join(_LAST_LINES_SECONDS)
        self._process.kill()
        self._thread.join(_END_SECONDS)
        self._process.wait()

    def _copy(self) -> None:
        assert self._process is not None  # noqa: S101 - for mypy
        assert self._process.stdout is not None  # noqa: S101
        room = MAX_BYTES
        with self._process.stdout as source, suppress(OSError, ValueError), self._file.open("xb") as target:
            # Not `read`, which waits until all of it is there.
            while piece := source.read1(65536):  # type: ignore[attr-defined]
                target.write(piece[: max(room, 0)])
                target.flush()
                room -= len(piece)
