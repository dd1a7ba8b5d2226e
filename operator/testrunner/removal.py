"""Removing folders that tests have filled, however deep: shutil.rmtree gives up where Python's stack ends."""

from __future__ import annotations

import os
import stat
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
    path.chmod(stat.S_IRWXU)
    # No name of a test's.
    prefix, moved = uuid.uuid4().hex, 0
    while folders := _emptied(path):
        for folder in folders:
            for inner in _emptied(folder):
                moved += 1
                inner.rename(path / f"{prefix}-{moved}")
            folder.rmdir()
    path.rmdir()


def _emptied(folder: Path) -> list[Path]:
    """The folders in a folder, made writable, once all else in it is removed."""
    with os.scandir(folder) as found:
        entries = list(found)
    folders = [folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            (folder / entry.name).unlink()
    for each in folders:
        each.chmod(stat.S_IRWXU)
    return folders
