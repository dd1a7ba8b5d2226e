"""What a store offers to readers, and which names of files are fit to be written here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Protocol

from qgjob.cli.exits import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an attempt: its path in the attempt's folder, and its size in bytes."""

    name: str
    size: int


class Reader(Protocol):
    """One target's part of a store."""

    def files(self, key: str) -> list[StoredFile]:
        """The files below a key (which ends with '/'), by name. Raises CliError."""

    def read(self, key: str, name: str) -> Iterator[bytes]:
        """A file, piece by piece. Raises CliError."""

    def close(self) -> None:
        """Leave nothing behind."""


def check_name(name: str) -> None:
    """Refuse a name that leads out of a folder: tests chose it. Raises CliError."""
    parts = name.split("/")
    bad = any(part in ("", ".", "..") for part in parts) or "\\" in name or not name.isprintable()
    if bad or PureWindowsPath(name).drive:
        raise CliError(
            f"a stored file has the name {name!r}, which could lead out of a folder: nothing was done"
        )
