"""Running a program that may hang, flood its output, or leave children behind."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .leftovers import Leftovers
from .masking import Masks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .stop import StopToken

#: A longer line is passed on in pieces of this many bytes, so that no output can fill the memory.
MAX_LINE_BYTES: Final = 16 * 1024
#: Characters of the output's end that ProcessEnd.tail keeps.
TAIL_CHARACTERS: Final = 8 * 1024
# A process that left the group (a daemon) may hold the output open for ever.
_DRAIN_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05
_TELLING: Final = re.compile(
    r"error|exception|fail|fatal|denied|refused|not found|can't|cannot|could not|unable|offline|unauthorized",
    re.IGNORECASE,
)
_LEFT_BEHIND_CHARACTERS: Final = 1000


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a process ended."""

    #: As subprocess has it: the exit code, or minus the signal's number.
    returncode: int
    #: It was stopped because its time was over.
    timed_out: bool
    #: It was stopped because the token asked for it.
    stopped: bool
    #: What `watch` said when it ended the process early; empty otherwise.
    watch_message: str
    #: The end of its output (stdout and stderr together).
    tail: str


def telling_line(output: str) -> str:
    """The last line that speaks of a failure, else the last one; empty where there is none.

    The very last line is often another: a program's stdout, through a pipe, comes after its stderr.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = (line for line in reversed(lines) if _TELLING.search(line))
    return next(telling, lines[-1] if lines else "")


def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stop: StopToken,
    stop_signal: signal.Signals = signal.SIGINT,
    grace: float = 10.0,
    on_line: Callable[[str], None],
    masks: Masks | None = None,
    watch: Callable[[], str | None] | None = None,
    watch_interval: float = 1.0,
) -> ProcessEnd:
    """Run a program in a process group of its own until it ends, its time is over, or it is asked to stop.

    It is stopped by `stop_signal` to the whole group; what is left of the group after `grace` seconds is
    killed (with `stop.at_once`, at once). What a program leaves behind when it is over, in its group or as a
    daemon of its own, is killed immediately: the next test must not meet it. `on_line` gets every line of
    stdout and stderr as it comes, from another thread and without the values that `masks` knows, and one more
    that names what was left behind. `watch` is asked every `watch_interval` seconds (from this thread); a text
    from it stops the process early. `timeout` and `grace` are seconds. Stdin is empty; the environment is
    `env` and nothing else.

    Raises OSError where the program can't be started (FileNotFoundError, PermissionError).
    """
    leftovers = Leftovers()
    process = leftovers.of(
        lambda: subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    )
    output = _Output(process, on_line, masks or Masks())
    # One token to wait on for both: the process has ended, or somebody asks to stop.
    wake = stop.child()
    threading.Thread(target=_wait, args=(process, wake), name="process-wait", daemon=True).start()
    timed_out = stopped = False
    watch_message = ""
    try:
        deadline = time.monotonic() + timeout
        while process.returncode is None:
            left = deadline - time.monotonic()
            if left <= 0:
                timed_out = True
                break
            wake.wait(min(left, watch_interval) if watch else left)
            if process.returncode is not None:
                break
            if stop.requested:
                stopped = True
                break
            if watch and (message := watch()):
                watch_message = message
                break
        if timed_out or stopped or watch_message:
            _signal_group(process.pid, stop_signal)
            _wait_for_group(process, grace, stop)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        returncode = process.wait()
        _reap_group(process.pid)
        left_behind = leftovers.end()
        output.finish()
    if left_behind:
        on_line(f"[qgjob] killed what it left behind: {'; '.join(left_behind)[:_LEFT_BEHIND_CHARACTERS]}")
    return ProcessEnd(returncode, timed_out, stopped, watch_message, output.tail)


class _Output:
    """Reads a process' output in a thread, line by line."""

    def __init__(
        self, process: subprocess.Popen[bytes], on_line: Callable[[str], None], masks: Masks
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - for mypy: it was asked for
        self._stream = process.stdout
        self._on_line = on_line
        # Before it is cut into lines, and long lines into pieces: a value may stand across a cut.
        self._masked = masks.stream()
        self._error: Exception | None = None
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="process-output", daemon=True)
        self._thread.start()

    @property
    def tail(self) -> str:
        return "\n".join(self._tail)[-TAIL_CHARACTERS:]

    def finish(self) -> None:
        """Read what is left; raises what `on_line` raised."""
        self._ended.set()
        self._thread.join()
        self._stream.close()
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        rest = b""
        give_up = float("inf")
        with selectors.DefaultSelector() as selector:
            selector.register(self._stream, selectors.EVENT_READ)
            while True:
                if self._ended.is_set():
                    give_up = min(give_up, time.monotonic() + _DRAIN_SECONDS)
                if time.monotonic() > give_up:
                    break
                if not selector.select(timeout=0.2):
                    if self._ended.is_set():
                        break
                    continue
                chunk = os.read(self._stream.fileno(), 65536)
                if not chunk:
                    break
                *lines, rest = (rest + self._masked.feed(chunk)).split(b"\n")
                for line in lines:
                    self._emit(line)
                while len(rest) > MAX_LINE_BYTES:
                    self._emit(rest[:MAX_LINE_BYTES])
                    rest = rest[MAX_LINE_BYTES:]
        *lines, rest = (rest + self._masked.finish()).split(b"\n")
        for line in [*lines, rest] if rest else lines:
            self._emit(line)

    def _emit(self, raw: bytes) -> None:
        for begin in range(0, max(len(raw), 1), MAX_LINE_BYTES):
            line = raw[begin : begin + MAX_LINE_BYTES].decode(errors="replace").rstrip("\r")
            self._tail.append(line)
            self._tail_length += len(line) + 1
            while self._tail_length > TAIL_CHARACTERS and len(self._tail) > 1:
                self._tail_length -= len(self._tail.popleft()) + 1
            if self._error is not None:
                continue  # Keep reading: a full pipe would block the process.
            try:
                self._on_line(line)
            except Exception as error:  # noqa: BLE001 - raised again by finish(), in the caller's thread
                self._error = error


def _wait(process: subprocess.Popen[bytes], wake: StopToken) -> None:
    process.wait()
    wake.request("the process has ended")


def _wait_for_group(process: subprocess.Popen[bytes], grace: float, stop: StopToken) -> None:
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and not stop.at_once:
        if process.poll() is not None:
            _reap_group(process.pid)
            if not _group_exists(process.pid):
                return
        time.sleep(_POLL_SECONDS)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reap_group(group: int) -> None:
    """Orphans of the group become children of process 1, which in a container is the runner: no zombies."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
