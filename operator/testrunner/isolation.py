"""What one test leaves on this machine, the next one of the batch does not meet.

Every run has a temporary folder of its own, and after it the source is put back to what it was before the batch's
first run: what was changed or removed comes back, what was added goes. What an install command has built there
stays, because it was there before. (The device's side is the driver's; processes are testrunner.process'.)
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .removal import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: A larger source is left as its tests leave it: looking through it, and a second copy, would cost too much.
MAX_FILES: Final = 5000
MAX_BYTES: Final = 100 * 1024 * 1024
#: Dependencies and caches: large, made by tools, and wanted again by the next test. At any depth.
KEPT: Final = frozenset(
    {"node_modules", ".venv", "venv", "__pycache__", ".pytest_cache", ".gradle", ".cache", ".git"}
)


class _TooLargeError(Exception):
    """More than is looked through between two tests."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What tells that a file was touched: its time of change can't be set by programs."""

    mode: int
    inode: int
    size: int
    changed: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class Isolation:
    """The tests of one batch, kept apart. Used by one thread at a time."""

    def __init__(self, workdir: Path, log: Callable[[str], None]) -> None:
        self._workdir = workdir
        self._log = log
        self._sources: dict[Path, _Source | None] = {}
        self._runs = 0

    @contextmanager
    def around(self, source: Path) -> Iterator[dict[str, str]]:
        """Surround one run; gives what its environment needs (TMPDIR)."""
        self._runs += 1
        if source not in self._sources:
            self._sources[source] = self._snapshot(source)
        temporary = self._workdir / "tmp" / str(self._runs)
        temporary.mkdir(parents=True)
        try:
            yield {"TMPDIR": str(temporary)}
        finally:
            with suppress(OSError):
                remove(temporary)
            if kept := self._sources[source]:
                try:
                    kept.restore()
                except (OSError, _TooLargeError) as error:
                    self._log(f"the source could not be put back to what it was before this test: {error}")

    def _snapshot(self, source: Path) -> _Source | None:
        if not os.access(source, os.W_OK):
            return None
        try:
            return _Source(source, self._workdir / "pristine" / str(len(self._sources)))
        except _TooLargeError:
            self._log(
                f"the source has more than {MAX_FILES} files or {MAX_BYTES // 1024**2} MiB: "
                "what a test changes in it, the next one finds"
            )
        except OSError as error:
            self._log(f"the source can't be copied ({error}): what a test changes in it, the next one finds")
        return None


class _Source:
    """A folder and its untouched copy."""

    def __init__(self, folder: Path, copy: Path) -> None:
        # A link to a source is not what a test changes.
        self._folder = folder = folder.resolve()
        self._copy = copy
        self._entries = _scan(folder)
        files = [entry for entry in self._entries.values() if not entry.is_folder]
        if len(files) > MAX_FILES or sum(entry.size for entry in files) > MAX_BYTES:
            raise _TooLargeError
        copy.mkdir(parents=True)
        for name, entry in self._entries.items():
            _copy(folder / name, copy / name, entry)

    def restore(self) -> None:
        """Put back what was touched. Raises OSError where something can't be."""
        if self._folder.is_symlink():
            self._folder.unlink()
        now = _scan(self._folder)
        if now == self._entries:
            return
        for name, entry in now.items():
            if entry.is_folder and not entry.mode & stat.S_IWUSR:
                (self._folder / name).chmod(stat.S_IRWXU)
        for name, entry in reversed(now.items()):
            before = self._entries.get(name)
            if before is None or before.is_folder != entry.is_folder:
                remove(self._folder / name)
            elif not entry.is_folder and before != entry:
                (self._folder / name).unlink()
        for name, before in self._entries.items():
            path = self._folder / name
            if not os.path.lexists(path):
                _copy(self._copy / name, path, before)
            elif before.is_folder and stat.S_IMODE(path.stat().st_mode) != stat.S_IMODE(before.mode):
                path.chmod(stat.S_IMODE(before.mode))
        self._entries = _scan(self._folder)


def put_back(folder: Path, pristine: Path) -> None:
    """Make a copy of a folder what it was, by names, sizes and times; dependencies and caches stay.

    One that is too large to be looked through stays as it is. Raises OSError where something can't be put back.
    """
    try:
        wanted, now = _scan(pristine), _scan(folder)
    except _TooLargeError:
        return
    for name, entry in reversed(now.items()):
        before = wanted.get(name)
        if before is None or before.is_folder != entry.is_folder:
            remove(folder / name)
        elif not entry.is_folder and not _alike(folder / name, pristine / name):
            (folder / name).unlink()
    for name, before in wanted.items():
        if not os.path.lexists(folder / name):
            _copy(pristine / name, folder / name, before)


def _alike(one: Path, other: Path) -> bool:
    first, second = one.lstat(), other.lstat()
    return (first.st_mode, first.st_size, first.st_mtime_ns) == (
        second.st_mode,
        second.st_size,
        second.st_mtime_ns,
    )


def _scan(folder: Path) -> dict[str, _Entry]:
    """Everything below the folder by relative path, each folder before what is in it. Links are not followed."""
    found: dict[str, _Entry] = {}
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(folder / parent) as entries:
                listed = sorted(entries, key=lambda each: each.name)
        except FileNotFoundError:
            if not parent:
                return {}  # a test removed the whole source
            continue
        for each in listed:
            if each.name in KEPT:
                continue
            about = each.stat(follow_symlinks=False)
            name = f"{parent}/{each.name}" if parent else each.name
            if stat.S_ISDIR(about.st_mode):
                # A folder changes with what is in it, which is looked at by itself.
                found[name] = _Entry(about.st_mode, 0, 0, 0)
                waiting.append(name)
            else:
                found[name] = _Entry(about.st_mode, about.st_ino, about.st_size, about.st_ctime_ns)
            if len(found) > 4 * MAX_FILES:
                raise _TooLargeError("there are too many files in it")
    return found


def _copy(here: Path, there: Path, entry: _Entry) -> None:
    if entry.is_folder:
        there.mkdir(parents=True, exist_ok=True)
        there.chmod(stat.S_IMODE(entry.mode) | stat.S_IRWXU)
    elif stat.S_ISREG(entry.mode) or stat.S_ISLNK(entry.mode):
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(here, there, follow_symlinks=False)
