"""A folder that outlives batches, shared by the pods of a node (or of a cluster) through a volume.

An entry is a folder that is filled beside and moved into its place in one step, so that it is whole or not there.
Locks tell who fills and who uses one; a file system without them is not used. Whoever can run tests of a target
with this cache can also change what is in it. So the courier, whose Secrets tests must not see, opens files in it by
`read` and `write` alone, which follow no link.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from qgjob.api.credentials import CACHE_FOLDER

from .drivers.base import Stopped
from .no_links import new_file, open_file, opened
from .removal import remove

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
_SIZE_DIGITS: Final = 20


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
            _remove(folder)

    @contextmanager
    def read(self, folder: Path, name: str) -> Iterator[BinaryIO]:
        """A file of an entry. Raises OSError where it is none, or a link is on the way."""
        with self._opened(folder) as descriptor:
            file = open_file(name, descriptor)
        with file:
            yield file

    @contextmanager
    def write(self, folder: Path, name: str) -> Iterator[BinaryIO]:
        """A new file of a scratch folder. Raises OSError."""
        with self._opened(folder) as descriptor:
            file = new_file(name, descriptor)
        with file:
            yield file

    def replace(self, path: Path, by: Path) -> None:
        """Make a scratch folder the entry of that path (one from `entry`), and make room for it. Raises OSError."""
        size = _size(by)
        with self._opened(by) as descriptor:
            os.fchmod(descriptor, 0o755)
        _remove(path)
        by.rename(path)
        self._size_file(path).unlink(missing_ok=True)
        with self.write(self._folder, self._size_file(path).name) as file:
            file.write(str(size).encode())
        self._evict(keep=path)

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[int]:
        with opened(self._folder, [] if folder == self._folder else [folder.name]) as descriptor:
            yield descriptor

    def _path(self, name: str) -> Path:
        return self._folder / hashlib.sha256(name.encode()).hexdigest()[:40]

    @contextmanager
    def _locked(self, path: Path, how: int, stop: StopToken) -> Iterator[None]:
        deadline = time.monotonic() + self._patience
        lock = path.with_suffix(".lock")
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            with _open_lock(lock) as file:
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    if stop.wait(_POLL_SECONDS):
                        raise Stopped(stop.reason) from None
                    if time.monotonic() > deadline:
                        raise CacheBusy("another pod has it for too long") from None
                    continue
                if not _is_still(file, lock):
                    continue  # it was removed, and perhaps made anew, between the two steps
                os.utime(file.fileno())  # the time of its last use
                yield
                return

    def _evict(self, *, keep: Path) -> None:
        """Delete what was not used for longest, until the rest is small enough. What is in use stays."""
        by_use = sorted(self._used(), key=lambda used: used[1])
        total = sum(self._known_size(path) for path, _ in by_use)
        for path, used_at in by_use:
            if path == keep:
                continue
            if path.is_dir():
                size = self._known_size(path)
                if total > self._max_bytes and self._delete(path):
                    total -= size
            elif time.time() - used_at > ABANDONED_SECONDS:
                # Of a version that did not come, or of an entry that is gone.
                self._delete(path)
        for left in self._folder.glob(".new-*"):
            with suppress(OSError):
                if time.time() - left.lstat().st_mtime > ABANDONED_SECONDS:
                    _remove(left)

    def _used(self) -> Iterator[tuple[Path, float]]:
        """Entries, and when each was used last, in seconds since the epoch."""
        for lock in self._folder.glob("*.lock"):
            with suppress(FileNotFoundError):
                yield lock.with_suffix(""), lock.lstat().st_mtime

    def _delete(self, path: Path) -> bool:
        """Delete an entry and its lock, unless it is in use; returns whether it is gone."""
        lock = path.with_suffix(".lock")
        with suppress(OSError), _open_lock(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(file, lock):
                _remove(path)
                self._size_file(path).unlink(missing_ok=True)
                lock.unlink()
                return True
        return False

    def _known_size(self, path: Path) -> int:
        try:
            with self.read(self._folder, self._size_file(path).name) as file:
                return int(file.read(_SIZE_DIGITS))
        except (OSError, ValueError):
            # Who filled it was killed before its size was noted.
            return _size(path)

    def _size_file(self, path: Path) -> Path:
        return path.with_suffix(".size")


def _open_lock(lock: Path) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(lock, flags, 0o666), "r+b", buffering=0)


def _is_still(file: IO[bytes], lock: Path) -> bool:
    """Whether the file that was locked is the one that others will lock."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), lock.lstat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """A folder, or what someone has put in its place; what can't be removed stays."""
    with suppress(OSError):
        remove(path)


def _size(folder: Path) -> int:
    """In bytes; what is too deep to be named by a path, or may not be read, counts for nothing."""
    total, waiting = 0, [folder]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
