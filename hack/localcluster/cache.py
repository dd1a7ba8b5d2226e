"""Where what was built once is kept: outside any checkout, by version."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return the cache folder: $QGJOB_CACHE, else $XDG_CACHE_HOME/qgjob, else ~/.cache/qgjob."""
    environment = os.environ if environment is None else environment
    if own := environment.get("QGJOB_CACHE"):
        return Path(own)
    if shared := environment.get("XDG_CACHE_HOME"):
        return Path(shared) / "qgjob"
    return Path(environment.get("HOME") or Path.home()) / ".cache" / "qgjob"


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `target` in one step only if nothing went wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
