"""Where things are kept on a person's machine: outside any checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return the cache folder: $QGJOB_CACHE, else $XDG_CACHE_HOME/qgjob, else ~/.cache/qgjob."""
    environment = os.environ if environment is None else environment
    if own := environment.get("QGJOB_CACHE"):
        return Path(own)
    if shared := environment.get("XDG_CACHE_HOME"):
        return Path(shared) / "qgjob"
    return Path(environment.get("HOME") or Path.home()) / ".cache" / "qgjob"


def state_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of what is no cache: $XDG_STATE_HOME/qgjob, else ~/.local/state/qgjob."""
    environment = os.environ if environment is None else environment
    if shared := environment.get("XDG_STATE_HOME"):
        return Path(shared) / "qgjob"
    return Path(environment.get("HOME") or Path.home()) / ".local" / "state" / "qgjob"
