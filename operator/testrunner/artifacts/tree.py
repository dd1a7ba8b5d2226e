"""A folder that untrusted code has filled: read file by file, without ever leaving it.

A link in it could lead to the runner's own files, or to the Secrets of the process that stores artifacts. So
links are not followed, and a file is opened folder by folder from the top: what is exchanged for a link between a
look and an open is not followed either.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from qgjob.api.artifacts import stays_inside

from ..no_links import FOLDER, open_file, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Files of one attempt; what a runaway test writes beyond is not looked at.
MAX_FILES: Final = 5000
#: S3's limit is 1024 bytes for a whole key.
MAX_NAME_BYTES: Final = 600


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: its path from the top with '/' between, and its size in bytes."""

    name: str
    size: int


class Tree:
    """The regular files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def below(self, path: str) -> Tree:
        """A folder in it. Raises OSError where that is none, or is reached through a link."""
        with self._parent(path) as (descriptor, last):
            os.close(os.open(last, FOLDER, dir_fd=descriptor))
        return Tree(self._folder / path)

    def files(self) -> list[File]:
        """All of them, by name; at most MAX_FILES, in as many folders. What has a name that no store takes is not among
        them. Raises OSError where the folder itself can't be read; one that is a link has no files."""
        found: list[File] = []
        folders, looked = deque([""]), 0
        while folders and looked < MAX_FILES and len(found) < MAX_FILES:
            try:
                inner, files = self._look(folders.popleft())
            except NotADirectoryError:
                pass  # a link has taken its place, perhaps that of the topmost one
            except OSError:
                if not looked:
                    raise
            else:
                folders += inner
                found += files
            looked += 1
        return sorted(found, key=lambda file: file.name)[:MAX_FILES]

    def _look(self, folder: str) -> tuple[list[str], list[File]]:
        """The folders and files right in a folder. Raises OSError."""
        folders, files = [], []
        with (
            opened(self._folder, folder.split("/") if folder else []) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not _is_storable(path):
                    continue
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(about.st_mode):
                        folders.append(path)
                    elif stat.S_ISREG(about.st_mode):
                        files.append(File(path, about.st_size))
        return sorted(folders), files

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """One of the files. Raises OSError where it is no regular file (any more)."""
        with self._parent(name) as (descriptor, last):
            file = open_file(last, descriptor)
        with file:
            yield file

    def remove(self, name: str) -> None:
        """Remove one of the files. Raises OSError."""
        with self._parent(name) as (descriptor, last):
            os.unlink(last, dir_fd=descriptor)

    def replace(self, name: str, by: Path) -> None:
        """Move a file from outside into the place of this one, or into a new one's. Raises OSError."""
        with self._parent(name) as (descriptor, last):
            os.replace(by, last, dst_dir_fd=descriptor)

    @contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        *folders, last = name.split("/")
        if not last or any(part in ("", ".", "..") for part in (*folders, last)):
            raise OSError(f"{name!r} is no path inside of a folder")
        with opened(self._folder, folders) as descriptor:
            yield descriptor, last


def _is_storable(path: str) -> bool:
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return False
    # Printable, too: a listing is XML, which can't carry control characters.
    return len(raw) <= MAX_NAME_BYTES and stays_inside(path)
