"""SIGTERM and SIGINT as an orderly stop."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def on_termination(request: Callable[[str], None]) -> None:
    """Call `request` (in a thread of its own) for every SIGTERM and SIGINT. Main thread only.

    A Python signal handler runs between any two steps of the main thread, which may hold a lock right then.
    So the handler does nothing, and the number goes through a socket.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def pass_on() -> None:
        # The writer lives as long as this thread does.
        with reader, writer:
            while received := reader.recv(1):
                name = signal.Signals(received[0]).name
                request(f"the runner was asked to stop ({name}: eviction, drain, deletion or a deadline)")

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
