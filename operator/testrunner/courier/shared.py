"""The folder that runner and courier share, seen by the courier. Tests can change anything in it at any moment.

So no path in it is trusted: each is opened folder by folder from the top, no link is followed, and only new files are
written. What git or a download needs as a real folder is made outside of it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from ..drivers.base import InfrastructureError
from ..no_links import FOLDER, new_file, opened_below

if TYPE_CHECKING:
    from collections.abc import Iterator


class SharedFolder:
    """Paths are relative to it, with '/' between their parts. All methods raise InfrastructureError."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def new_file(self, path: str) -> Iterator[BinaryIO]:
        """A file that is not there yet, to be written."""
        with self._parent(path) as (folder, name):
            try:
                file = new_file(name, folder)
            except OSError as error:
                raise InfrastructureError(f"{path} can't be written: {error.strerror}") from error
            with file:
                yield file

    @contextmanager
    def folder(self, path: str) -> Iterator[Path]:
        """A path of the folder that stays within the shared one, whatever becomes of the folders above it.

        The folder itself may be exchanged for a link: open it without following one.
        """
        with self._parent(path) as (folder, name):
            # By the opened folder's number: its path may lead elsewhere by now.
            yield Path(f"/proc/self/fd/{folder}") / name

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or any(part in ("..", ".") or "\0" in part for part in parts):
            raise InfrastructureError(f"{path!r} is no path below the shared folder")
        *folders, last = parts
        top = os.open(self._root, FOLDER & ~os.O_NOFOLLOW)
        try:
            with opened_below(top, folders) as descriptor:
                yield descriptor, last
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise InfrastructureError(
                f"{path} is no path below the shared folder: {error.strerror}"
            ) from error
