"""A store that a test holds in its hand, and what the tests of artifacts share."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from testrunner.artifacts.outbox import Outbox, Parcel
from testrunner.artifacts.tree import Tree
from testrunner.drivers.base import InfrastructureError
from testrunner.log import Log
from testrunner.masking import Masks
from testrunner.readable_paths import ReadablePaths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testrunner.stop import StopToken


class StoreInHand:
    """Keeps what it is given, unless it is down or hangs."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.down = ""
        self.tries = 0
        self.prunes = 0
        self.answers = threading.Event()
        self.answers.set()
        self.tried = threading.Event()

    def store(self, key: str, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        self.tries += 1
        self.tried.set()
        self.answers.wait()
        if self.down:
            raise InfrastructureError(self.down)
        tree = Tree(folder)
        for file in tree.files():
            with tree.open(file.name) as content:
                self.kept[key + file.name] = content.read()

    def prune(self, *, stop: StopToken, log: Callable[[str], None]) -> None:
        self.prunes += 1


def outbox(
    store: StoreInHand,
    scratch: Path,
    *,
    masks: Masks | None = None,
    max_bytes: int = 1_000_000,
    max_waiting_bytes: int = 1_000_000,
) -> tuple[Outbox, io.StringIO]:
    """An outbox, and what it logs."""
    scratch.mkdir(exist_ok=True)
    stream = io.StringIO()
    box = Outbox(
        store,
        masks=masks or Masks(),
        paths=ReadablePaths(),
        max_bytes=max_bytes,
        scratch=scratch,
        log=Log(stream),
        max_waiting_bytes=max_waiting_bytes,
    )
    return box, stream


def parcel(folder: Path, number: int, **files: str) -> Parcel:
    """Attempt 1 of job-NUMBER, with these files (`log` is log.txt)."""
    reports = folder / f"reports-{number}"
    reports.mkdir()
    for name, text in files.items():
        (reports / f"{name}.txt").write_text(text)
    return Parcel(f"job-{number} (attempt 1)", f"ns/pixels/2026-11-24/job-{number}-abc/1/", reports)
