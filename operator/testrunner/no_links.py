"""Opening folders that untrusted code can exchange at any moment: one after another, following no link."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Flags that open a folder, and no link to one.
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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
