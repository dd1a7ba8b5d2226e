"""What a store of artifacts is, and which one a target has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from qgjob.api.artifacts import Place

from ..drivers.base import InfrastructureError, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.stores import Artifacts

    from ..stop import StopToken


class Store(Protocol):
    """Keeps the attempts' folders of one target. Safe to use from several threads."""

    def store(self, key: str, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Store the folder's regular files below `key` (of qgjob.api.artifacts); repeating it does no harm.

        Raises InfrastructureError, which a later try may not meet, and Stopped.
        """

    def prune(self, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Delete the days that are older than the target's retentionDays, and nothing else.

        Raises InfrastructureError, and Stopped: what is left then is deleted another time.
        """


@dataclass(frozen=True, slots=True)
class Scope:
    """What a store may touch. Its caller may be a test that has found the way to it."""

    place: Place
    retention_days: int | None
    today: Callable[[], date]

    @classmethod
    def of(
        cls,
        artifacts: Artifacts,
        namespace: str,
        target: str,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> Scope:
        """The scope of a target's artifacts."""
        return cls(Place.of(artifacts.to_wire(), namespace, target), artifacts.retention_days, today)

    def check(self, key: str) -> None:
        """Raises InfrastructureError where the key is none of an attempt of this target."""
        parts = key.removeprefix(self.place.root).split("/")
        if not key.startswith(self.place.root) or len(parts) != 4 or parts[3] or not all(parts[:3]):
            raise InfrastructureError(f"{key!r} is no key of an attempt of this target")
        if any(part in (".", "..") for part in parts) or day_of(parts[0]) is None:
            raise InfrastructureError(f"{key!r} is no key of an attempt of this target")

    def is_old(self, folder: str) -> bool:
        """Whether a folder (by its name) is a day that is over."""
        day = day_of(folder)
        if day is None or self.retention_days is None:
            return False
        return day < self.today() - timedelta(days=self.retention_days)


def go_on(stop: StopToken) -> None:
    """Raises Stopped where a stop was requested."""
    if stop.requested:
        raise Stopped(stop.reason)


def day_of(name: str) -> date | None:
    """The day that a folder's name (`2026-11-24`) says; None for any other name."""
    try:
        found = date.fromisoformat(name)
    except ValueError:
        return None
    return found if found.isoformat() == name else None
