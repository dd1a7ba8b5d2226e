"""Attempts' folders on their way to a store, beside the tests: neither a result nor a next test waits for them."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, Stopped
from ..removal import remove
from ..stop import StopToken
from .contents import prepare
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..log import Log
    from ..masking import Masks
    from ..readable_paths import ReadablePaths
    from .base import Store

#: While the store is down, so many bytes wait on disk; beyond, the oldest attempt is given up.
MAX_WAITING_BYTES: Final = 1024 * 1024 * 1024
#: Seconds between two tries: twice as long after each, up to the longest; once the batch is over, the first again.
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
#: What old days may cost a batch at its end, in seconds.
PRUNE_SECONDS: Final = 20.0
_TICK_SECONDS: Final = 0.2
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt's folder, and the key that it is stored below. The folder is gone once it is stored."""

    name: str
    key: str
    folder: Path


class Outbox:
    """Sends parcels one after another, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        *,
        masks: Masks,
        paths: ReadablePaths,
        max_bytes: int,
        scratch: Path,
        log: Log,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._store = store
        self._masks = masks
        self._paths = paths
        self._max_bytes = max_bytes
        self._scratch = scratch
        self._log = log
        self._max_waiting = max_waiting_bytes
        self._stop = StopToken()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Parcel, int]] = deque()
        self._sending: Parcel | None = None
        self._lost: list[Parcel] = []
        self._closing = False
        self._tries = 0
        self._trouble = ""
        self._thread: threading.Thread | None = None

    def put(self, parcel: Parcel) -> None:
        """Hand a parcel over; returns at once."""
        size = min(_size(parcel.folder), self._max_bytes)
        dropped: list[Parcel] = []
        with self._changed:
            self._waiting.append((parcel, size))
            while len(self._waiting) > 1 and sum(size for _, size in self._waiting) > self._max_waiting:
                dropped.append(self._waiting.popleft()[0])
            self._lost += dropped
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="artifacts", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        for each in dropped:
            self._log.line(f"the artifacts of {each.name} are given up: too many wait for the store")
            _discard(each)

    def finish(self, seconds_left: Callable[[], float]) -> str:
        """No more parcels come: wait until all are stored, but at most as long as `seconds_left()` is positive.

        Returns what could not be stored, in a sentence for people; empty where all is.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while (self._waiting or self._sending) and seconds_left() > 0:
                self._changed.wait(_TICK_SECONDS)
            unsent = [*([self._sending] if self._sending else []), *(parcel for parcel, _ in self._waiting)]
            self._waiting.clear()
        self._stop.request("the batch is over")
        lost = [*self._lost, *unsent]
        if not lost:
            return ""
        names = ", ".join(each.name for each in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        why = f": {self._trouble}" if self._trouble else ""
        said = f"artifacts that could not be stored in time: {names}{more}{why}"
        self._log.line(said)
        return said

    def prune(self, seconds_left: Callable[[], float]) -> None:
        """Delete days of the target's that are over, if all was stored. Call it after `finish`."""
        if self._trouble or self._lost:
            return  # The store is not well: another batch will do it.
        stop = StopToken()
        thread = threading.Thread(target=self._prune, args=(stop,), name="prune", daemon=True)
        deadline = time.monotonic() + PRUNE_SECONDS
        thread.start()
        while thread.is_alive() and time.monotonic() < deadline and seconds_left() > 0:
            thread.join(_TICK_SECONDS)
        stop.request("the rest of the old artifacts is deleted by another batch")

    def _prune(self, stop: StopToken) -> None:
        try:
            self._store.prune(stop=stop, log=self._log.line)
        except (InfrastructureError, Stopped) as error:
            self._log.line(f"old artifacts were not deleted: {error}")

    def _run(self) -> None:
        while (parcel := self._next()) is not None:
            try:
                prepare(
                    parcel.folder,
                    masks=self._masks,
                    paths=self._paths,
                    max_bytes=self._max_bytes,
                    scratch=self._scratch,
                )
                if not self._send(parcel):
                    return
            except OSError as error:
                # Never stored with what should have been masked.
                self._give_up(parcel, f"its folder can't be read: {error}")
            except Exception:  # noqa: BLE001 - tests made the folder; the thread is needed for the next one
                self._give_up(parcel, traceback.format_exc())

    def _next(self) -> Parcel | None:
        with self._changed:
            self._sending = None
            self._changed.notify_all()
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            self._sending, _ = self._waiting.popleft()
            return self._sending

    def _send(self, parcel: Parcel) -> bool:
        """Try until it is stored; returns whether it was."""
        while not self._stop.requested:
            try:
                self._store.store(parcel.key, parcel.folder, stop=self._stop, log=self._log.line)
            except Stopped:
                return False
            except InfrastructureError as error:
                if self._stop.requested:
                    return False
                if str(error) != self._trouble:
                    self._log.line(f"artifacts can't be stored now, and are tried again: {error}")
                self._trouble = str(error)
                self._tries += 1
                self._pause()
                continue
            self._tries, self._trouble = 0, ""
            _discard(parcel)
            return True
        return False

    def _pause(self) -> None:
        seconds = min(FIRST_PAUSE_SECONDS * 2 ** min(self._tries - 1, 16), LONGEST_PAUSE_SECONDS)
        with self._changed:
            if self._closing:
                self._changed.wait(FIRST_PAUSE_SECONDS)
            else:
                self._changed.wait_for(lambda: self._closing, seconds)

    def _give_up(self, parcel: Parcel, why: str) -> None:
        self._log.line(f"the artifacts of {parcel.name} are given up: {why}")
        with self._changed:
            self._lost.append(parcel)


def _discard(parcel: Parcel) -> None:
    with suppress(OSError):
        remove(parcel.folder)


def _size(folder: Path) -> int:
    try:
        return sum(file.size for file in Tree(folder).files())
    except OSError:
        return 0  # Whoever sends it will say so.
