"""Opening folders and files that untrusted code can exchange at any moment: one after another, following no link."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Flags that open a folder, and no link to one.
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, to open a pipe would wait for its writer for ever.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened_below(top: int, folders: Sequence[str]) -> Iterator[int]:
    """The descriptor of the last of these folders, each in the one before, from the descriptor `top` on.

    `top` is closed with it. The names must be single parts of a path, neither '.' nor '..'. Raises OSError.
    """
    descriptor = top
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened(top: Path, folders: Sequence[str] = ()) -> Iterator[int]:
    """The same from a folder's path on, whose last part is no link either. Raises OSError."""
    with opened_below(os.open(top, FOLDER), folders) as descriptor:
        yield descriptor


def open_file(name: str, folder: int) -> BinaryIO:
    """A regular file of the folder with that descriptor, to be read. Raises OSError where it is none."""
    file = os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{name} is no regular file")
    return file


def new_file(name: str, folder: int, mode: int = 0o644) -> BinaryIO:
    """A file that is not there yet in the folder with that descriptor, to be written. Raises OSError."""
    return os.fdopen(os.open(name, _NEW_FILE, mode, dir_fd=folder), "wb")
