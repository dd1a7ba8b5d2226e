"""Writing files: whole or not at all, and only when something changes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = 0o644
PRIVATE = 0o600


def write_file(path: Path, content: str, mode: int = PUBLIC) -> Path:
    """Write a file in one step, unless it holds that content already, and return its path.

    Programs that watch their configuration are so not disturbed for nothing.
    """
    if not path.exists() or path.read_text() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        scratch.replace(path)
    return path


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `target` in one step only if nothing went wrong.

    For one at a time: what an earlier one left that was killed midway is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
