"""A folder that outlives batches, shared by the pods of a node (or of a cluster) through a volume.

An entry is a folder that is filled beside and moved into its place in one step, so that it is whole or not there.
Locks tell who fills and who uses one; a file system without them is not used. Whoever can run tests of a target
with this cache can also change what is in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qgjob.api.credentials import CACHE_FOLDER

from .drivers.base import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qgjob.api.stores import Cache as CacheSettings

    from .stop import StopToken

#: Where a pod has it; another place is named by VARIABLE.
FOLDER: Final = Path(CACHE_FOLDER)
VARIABLE: Final = "QGJOB_CACHE_DIR"
#: How long another pod's work on an entry is waited for: after that it is quicker to do without.
PATIENCE_SECONDS: Final = 120.0
#: What a killed pod left half-filled is removed when it is older.
ABANDONED_SECONDS: Final = 6 * 3600.0
_POLL_SECONDS: Final = 0.2


class CacheBusy(Exception):  # noqa: N818
    """Another pod has the entry for too long."""


class Cache:
    """One folder of entries."""

    def __init__(self, folder: Path, max_bytes: int, *, patience: float = PATIENCE_SECONDS) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._patience = patience

    @classmethod
    def find(
        cls, settings: CacheSettings | None, folder: str | None, log: Callable[[str], None]
    ) -> Cache | None:
        """The target's cache in this container; None where it has none, or one that can't be written.

        `folder`: another place than FOLDER (what VARIABLE says).
        """
        if settings is None:
            return None
        found = Path(folder or FOLDER) / "qgjob"
        try:
            found.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=found) as probe:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            log(f"the cache in {found.parent} can't be used, so this batch goes on without: {error}")
            return None
        return cls(found, settings.max_bytes)

    @contextmanager
    def entry(self, name: str, *, stop: StopToken) -> Iterator[Path]:
        """The entry's folder, alone: it need not exist yet. Fill it by `replace`; no other pod is in here meanwhile.

        Raises CacheBusy, Stopped, OSError.
        """
        path = self._path(name)
        with self._locked(path, fcntl.LOCK_EX, stop):
            yield path

    @contextmanager
    def using(self, name: str, *, stop: StopToken) -> Iterator[Path]:
        """The entry's folder, with others who read it: it is not evicted meanwhile.

        Raises CacheBusy, Stopped, OSError.
        """
        path = self._path(name)
        with self._locked(path, fcntl.LOCK_SH, stop):
            yield path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the cache's file system, removed at the end unless `replace` moved it away."""
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def replace(self, path: Path, by: Path) -> None:
        """Make a scratch folder the entry of that path (one from `entry`), and make room for it. Raises OSError."""
        size = _size(by)
        by.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        by.rename(path)
        self._size_file(path).write_text(str(size))
        self._evict(keep=path)

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:40]

    @contextmanager
    def _locked(self, path: Path, how: int, stop: StopToken) -> Iterator[None]:
        deadline = time.monotonic() + self._patience
        lock = path.with_suffix(".lock")
        self._folder.mkdir(parents=True, exist_ok=True)
        with lock.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if stop.wait(_POLL_SECONDS):
                        raise Stopped(stop.reason) from None
                    if time.monotonic() > deadline:
                        raise CacheBusy("another pod has it for too long") from None
            os.utime(lock)  # the time of its last use
            yield

    def _evict(self, *, keep: Path) -> None:
        """Delete what was not used for longest, until the rest is small enough. What is in use stays."""
        locks = [lock for lock in self._folder.glob("*.lock") if lock.with_suffix("").is_dir()]
        by_use = sorted(locks, key=lambda lock: lock.stat().st_mtime)
        total = sum(self._known_size(lock.with_suffix("")) for lock in by_use)
        for lock in by_use:
            path = lock.with_suffix("")
            if total <= self._max_bytes:
                break
            if path == keep:
                continue
            with lock.open("a") as file, suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                total -= self._known_size(path)
                shutil.rmtree(path, ignore_errors=True)
                self._size_file(path).unlink(missing_ok=True)
        for left in self._folder.glob(".new-*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def _known_size(self, path: Path) -> int:
        try:
            return int(self._size_file(path).read_text())
        except (OSError, ValueError):
            return 0

    def _size_file(self, path: Path) -> Path:
        return path.with_suffix(".size")


def _size(folder: Path) -> int:
    return sum((Path(top) / name).lstat().st_size for top, _, names in os.walk(folder) for name in names)
