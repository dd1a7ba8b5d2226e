"""Screenshots that Appium's plugin took at the end of each session of the batch (kit/install-once)."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "screenshots"


def collect_screenshots(taken: Path, report_dir: Path) -> None:
    """Move those that are there, one for each of the test's sessions, into the test's reports."""
    for number, path in enumerate(sorted(taken.glob("*.png")), start=1):
        # A full disk costs a picture, not a result.
        with suppress(OSError):
            (report_dir / FOLDER).mkdir(exist_ok=True)
            shutil.move(path, report_dir / FOLDER / f"session-{number}-end.png")
