"""Processes that a program leaves behind, daemons in sessions of their own included.

What a program starts and abandons becomes a child of the next ancestor that adopts orphans. The runner makes
itself one (in a container it is process 1 anyway), so that nothing can leave it, whatever it detaches from.
Linux only; elsewhere just the process group can be ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

_PR_SET_CHILD_SUBREAPER: Final = 36
_PROC: Final = Path("/proc")
#: A killed process is gone within milliseconds, unless the kernel holds it; nobody waits longer for that.
_PATIENCE_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.02
# Field numbers after the command's closing bracket in /proc/PID/stat.
_STATE, _PARENT, _SESSION = 0, 1, 3

_lock = threading.Lock()
#: Sessions that belong to programs which run right now, each of which looks after its own.
_sessions: Final[set[int]] = set()


def adopt_orphans() -> None:
    """Have the orphans of all descendants become children of this process. Harmless when repeated."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Leftovers:
    """What one program may leave behind: made before it starts (`of`), ended after it is over (`end`).

    Of the runner's children, all that came up in between, in another session than the runner's, are taken for
    the program's: what the runner starts itself stays in its session, was there before, or is registered here.
    An adb server is nobody's: whoever needs one first starts it for all.
    """

    def __init__(self) -> None:
        adopt_orphans()
        self._before = set(_children(os.getpid()))
        self._session = 0

    def of(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start the program, which must lead a session of its own."""
        with _lock:
            process = start()
            self._session = process.pid
            _sessions.add(process.pid)
        return process

    def end(self) -> list[str]:
        """Kill them, and what comes up of them; returns their command lines. Takes some seconds at most."""
        with _lock:
            _sessions.discard(self._session)
        named: dict[int, str] = {}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while found := self._found():
            for pid, state in found.items():
                if state != "Z":
                    named.setdefault(pid, _command_line(pid))
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                break
            # Their own children become the runner's when they are gone.
            time.sleep(_POLL_SECONDS)
        return [line for line in named.values() if line]

    def _found(self) -> dict[int, str]:
        own = os.getsid(0)
        # With the lock, nobody's program is seen between its start and its registration.
        with _lock:
            children = _children(os.getpid())
            others = set(_sessions)
        found = {}
        for pid, stat in children.items():
            if pid in self._before or int(stat[_SESSION]) in {own, *others}:
                continue
            if stat[_STATE] == "Z" or not _is_adb_server(pid):
                found[pid] = stat[_STATE]
        return found


def _children(parent: int) -> dict[int, list[str]]:
    """Direct children, with what the kernel says of each."""
    found = {}
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) and int(stat[_PARENT]) == parent:
            found[int(entry.name)] = stat
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command stands in brackets, and may hold anything, brackets too.
    return text.rpartition(")")[2].split()


def _command_line(pid: int) -> str:
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _is_adb_server(pid: int) -> bool:
    words = _command_line(pid).split()
    return bool(words) and Path(words[0]).name == "adb" and "fork-server" in words
