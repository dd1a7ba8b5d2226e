"""What a store offers to readers, and which names of files are fit to be written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qgjob.api.artifacts import stays_inside
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
    """Refuse a name that leads out of a folder; no runner stores one. Raises CliError."""
    if not stays_inside(name):
        raise CliError(
            f"a stored file has the name {name!r}, which could lead out of a folder: nothing was done"
        )
