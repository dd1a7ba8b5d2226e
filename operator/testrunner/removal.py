"""Removing folders that tests have filled, however deep: shutil.rmtree gives up where Python's stack ends.

Tests may go on changing them meanwhile, and the courier removes what it shares with them. So each folder is opened in
the one before, following no link, and nothing is named by a path.
"""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .no_links import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

# Opens a folder that may not be read, for nothing but to change that. Linux only; elsewhere such a folder stays.
_UNREAD: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; that it is gone already is success.

    What is deep down is moved up first, so neither the stack nor the length of a path is a limit. Raises OSError
    where something can't be removed; what comes after it is left, too.
    """
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        path.unlink(missing_ok=True)
        return
    with _opened(str(path), None) as top:
        # No name of a test's.
        prefix, moved = uuid.uuid4().hex, 0
        while folders := _emptied(top):
            for name in folders:
                with _opened(name, top) as folder:
                    for inner in _emptied(folder):
                        moved += 1
                        os.rename(inner, f"{prefix}-{moved}", src_dir_fd=folder, dst_dir_fd=top)
                os.rmdir(name, dir_fd=top)
    path.rmdir()


def _emptied(folder: int) -> list[str]:
    """The folders in a folder, made writable, once all else in it is removed."""
    with os.scandir(folder) as found:
        entries = list(found)
    folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
    for name in folders:
        with _opened(name, folder):
            pass
    return folders


@contextmanager
def _opened(name: str, parent: int | None) -> Iterator[int]:
    """A folder's descriptor, once its owner may do everything with it."""
    try:
        folder = os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        unread = os.open(name, _UNREAD, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{unread}").chmod(stat.S_IRWXU)
        finally:
            os.close(unread)
        folder = os.open(name, FOLDER, dir_fd=parent)
    try:
        os.fchmod(folder, stat.S_IRWXU)
        yield folder
    finally:
        os.close(folder)
