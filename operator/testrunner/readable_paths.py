"""Paths of the runner's folders as people know them: a test file by its place in its source, and nothing of a pod's.

A stored log keeps the paths as they were, for whoever looks closer.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ReadablePaths:
    """Makes the paths in a text relative to the folder that they are in. Safe to use from several threads."""

    def __init__(self, *folders: Path) -> None:
        self._folders: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for folder in folders:
            self.add(folder)

    def add(self, folder: Path) -> None:
        """From now on, what is in this folder reads relative to it, unless it is in one that lies deeper."""
        known = self._folders | {
            text for text in (str(folder.absolute()), str(folder.resolve())) if text.strip(os.sep)
        }
        if known == self._folders:
            return
        self._folders = known
        # The deepest first. Whatever begins with a folder's name is another folder: /work/tb-1 and /work/tb-12.
        names = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w.-])(?:file://)?(?:{names})(?:/|(?![\w.-]))")

    def text(self, text: str) -> str:
        """The text with its paths made relative; the folder itself reads as a dot."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: "" if found[0].endswith("/") else ".", text)
