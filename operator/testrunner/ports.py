"""Ports for servers of the runner's own: another runner may be on the same machine."""

from __future__ import annotations

import secrets
import socket
from typing import Final

#: Below the ports that systems give to clients, and Kubernetes to Services: one that is free stays so, even while a
#: server that has it is started again.
_PORTS: Final = range(20000, 30000)
_TRIES: Final = 100


def free_port() -> int:
    """A port of the loopback address where nobody listens now. Raises OSError where none can be found."""
    for _ in range(_TRIES):
        port = secrets.choice(_PORTS)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free")
