"""From an attempt that is over to a folder that is stored: its log and what it was are added to its reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import artifacts as places
from qgjob.api import lifecycle

from .contents import put
from .outbox import Outbox, Parcel
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from qgjob.api.stores import Artifacts
    from qgjob.api.testbatch import BatchJob

    from ..clock import Clock
    from ..log import Log
    from ..masking import Masks
    from ..readable_paths import ReadablePaths
    from .base import Store

#: After the batch's end, what still waits is stored for so many seconds at most.
FINISH_SECONDS: Final = 60.0


class Collection:
    """The artifacts of one batch. Used by the main thread."""

    def __init__(
        self,
        artifacts: Artifacts,
        store: Store,
        *,
        namespace: str,
        target: str,
        workdir: Path,
        masks: Masks,
        paths: ReadablePaths,
        clock: Clock,
        log: Log,
    ) -> None:
        self._place = places.Place.of(artifacts.to_wire(), namespace, target)
        self._retention_days = artifacts.retention_days
        self._scratch = workdir / "outbox"
        self._scratch.mkdir(exist_ok=True)
        self._masks = masks
        self._clock = clock
        self._log = log
        self._outbox = Outbox(
            store,
            masks=masks,
            paths=paths,
            max_bytes=artifacts.max_bytes_per_attempt,
            scratch=self._scratch,
            log=log,
        )

    def link(self, entry: BatchJob, started: datetime) -> str:
        """The URL that the attempt's folder will have; empty where it is too long for a status."""
        return self._place.link(self._key(entry, started))

    def keep(
        self, entry: BatchJob, started: datetime, *, reports: Path, log: Path, about: Mapping[str, Any]
    ) -> None:
        """Have the attempt's reports stored, with its log and `about`, and let go of them."""
        try:
            reports.mkdir(exist_ok=True)
            tree = Tree(reports)
            if log.exists():
                put(tree, places.LOG, log, self._scratch)
            put(tree, places.ABOUT, self._masks.text(json.dumps(about, indent=2)), self._scratch)
        except OSError as error:
            # What there is, is stored all the same.
            self._log.line(f"artifacts of {entry.name}: {error}")
        name = f"{entry.name} (attempt {entry.attempt})"
        self._outbox.put(Parcel(name, self._key(entry, started), reports))

    def finish(self, seconds_left: Callable[[], float]) -> str:
        """The batch is over: store the rest, delete what is too old; at most while `seconds_left()` is positive.

        Returns what could not be stored, in a sentence for people; empty where all is.
        """
        end = self._clock.monotonic() + FINISH_SECONDS
        lost = self._outbox.finish(lambda: min(end - self._clock.monotonic(), seconds_left()))
        if self._retention_days is not None and seconds_left() > 0:
            self._outbox.prune(seconds_left)
        return lost

    def _key(self, entry: BatchJob, started: datetime) -> str:
        return self._place.key(
            started=lifecycle.timestamp(started), job=entry.name, uid=entry.uid, attempt=entry.attempt
        )
