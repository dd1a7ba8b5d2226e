"""Long-running programs: started in the background, found again by a later command, stopped for good."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.files import write_file
from hack.localcluster.shell import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOG_KEPT_BYTES = 50 * 1024 * 1024


class NotHealthyError(Exception):
    """A program runs but does not answer as it should; the text says how."""


@dataclass(frozen=True)
class Daemon:
    """What a long-running program is told, and how its health is asked."""

    name: str
    argv: tuple[str, ...]
    check: Callable[[], None]  # raises NotHealthyError or OSError
    # Files the program reads at its start: when their content changes it has to be started again.
    files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    # Where it listens: (address, TCP port).
    listens: tuple[tuple[str, int], ...] = ()
    # How long a polite request to stop is waited for, in seconds, before it is killed.
    grace_seconds: float = 5.0

    def fingerprint(self) -> str:
        """Return a digest of everything that decides how the program behaves."""
        digest = hashlib.sha256(json.dumps([self.argv, sorted(self.environment.items())]).encode())
        for file in self.files:
            digest.update(file.read_bytes() if file.exists() else b"")
        return digest.hexdigest()

    def complaint(self) -> str | None:
        """Ask for its health: None when all is well, else what is wrong."""
        try:
            self.check()
        except (NotHealthyError, OSError) as error:
            return str(error) or type(error).__name__
        return None


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that can't be mistaken for a later one with the same number, not even after a restart."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Identify a living process, else None. A zombie is one while any of its threads still runs."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The second field is the program's name in brackets and may hold anything.
        fields = stat.rpartition(")")[2].split()
        state, threads, start_ticks = fields[0], int(fields[17]), int(fields[19])
        if state == "X" or (state == "Z" and threads <= 1):
            return None
        return cls(pid, start_ticks, current_boot_id())

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def current_boot_id() -> str:
    """Return what the kernel calls this run of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C waiting: a process that was started but not written down could not be found again."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C only ever interrupts the main thread.
        return
    pressed = False

    def remember(*_: object) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


class Supervisor:
    """Starts and stops daemons, and remembers them in a folder so that the next command finds them."""

    def __init__(self, records: Path, logs: Path, launcher: tuple[str, ...] = ()) -> None:
        """`launcher` is a command that becomes the command given after it (to join a cgroup first, say)."""
        self._records = records
        self._logs = logs
        self._launcher = launcher
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def log_of(self, daemon: Daemon) -> Path:
        """Return where a daemon's output goes."""
        return self._logs / f"{daemon.name}.log"

    def process_of(self, name: str) -> ProcessIdentity | None:
        """Return the process of the daemon called `name` if it runs, whoever started it."""
        record = self._read(name)
        if record is None:
            return None
        self._reap(record[0].pid)
        return record[0] if record[0].is_alive() else None

    def is_current(self, daemon: Daemon) -> bool:
        """Tell whether it runs, and was told the same as it would be told now."""
        record = self._read(daemon.name)
        alive = self.process_of(daemon.name) is not None
        return alive and record is not None and record[1] == daemon.fingerprint()

    def start(self, daemon: Daemon) -> ProcessIdentity:
        """Start it, without waiting for its health."""
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log_of(daemon)
        if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output, _uninterrupted():
            child = subprocess.Popen(
                (*self._launcher, *daemon.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                # Nothing of the caller's environment leaks in: proxies and credentials least of all.
                env={"PATH": SYSTEM_PATH, "HOME": os.environ.get("HOME", "/"), **daemon.environment},
                start_new_session=True,
            )
            self._children[child.pid] = child
            process = ProcessIdentity.of(child.pid)
            if process is not None:
                self._write(daemon, process)
        if process is None:
            raise ClusterError(self._ended_at_once(daemon))
        return process

    def wait_healthy(self, daemon: Daemon, timeout_seconds: float) -> None:
        """Wait until it answers. Raises ClusterError when it ends before, or takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while (complaint := daemon.complaint()) is not None:
            if self.process_of(daemon.name) is None:
                raise ClusterError(self._ended_at_once(daemon))
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{daemon.name} is not healthy after {timeout_seconds:.0f} s ({complaint}); "
                    f"its log is {self.log_of(daemon)}"
                )
            time.sleep(0.05)

    def stop(self, daemon: Daemon) -> None:
        """Stop it: politely, and after its grace by force. Harmless when it does not run."""
        process = self.process_of(daemon.name)
        if process is not None:
            process.signal(signal.SIGTERM)
            if not self._wait_gone(process, daemon.grace_seconds):
                process.signal(signal.SIGKILL)
                self._wait_gone(process, 10)
        self._record_of(daemon.name).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """End the daemon called `name` at once, as a crash would."""
        process = self.process_of(name)
        if process is not None:
            process.signal(signal.SIGKILL)
            self._wait_gone(process, 10)

    def _wait_gone(self, process: ProcessIdentity, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._reap(process.pid)
            if not process.is_alive():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)

    def _reap(self, pid: int) -> None:
        """A dead child of this very process stays a zombie until it is asked for."""
        child = self._children.get(pid)
        if child is not None and child.poll() is not None:
            del self._children[pid]

    def _record_of(self, name: str) -> Path:
        return self._records / f"{name}.json"

    def _read(self, name: str) -> tuple[ProcessIdentity, str] | None:
        try:
            record = json.loads(self._record_of(name).read_text())
            return (
                ProcessIdentity(record["pid"], record["start_ticks"], record["boot_id"]),
                record["fingerprint"],
            )
        except (OSError, ValueError, KeyError):
            return None

    def _write(self, daemon: Daemon, process: ProcessIdentity) -> None:
        record = {**asdict(process), "fingerprint": daemon.fingerprint()}
        write_file(self._record_of(daemon.name), json.dumps(record))

    def _ended_at_once(self, daemon: Daemon) -> str:
        log = self.log_of(daemon)
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return f"{daemon.name} ended: {lines[-1][-300:] if lines else 'it said nothing'} (its log is {log})"
