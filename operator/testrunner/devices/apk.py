"""Telling an Android app from other packages by its file, without asking a device."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ENDING: Final = ".apk"
_MANIFEST: Final = "AndroidManifest.xml"


def is_apk(path: Path) -> bool:
    """Whether it is one, by its name or by what is in it. (A damaged one should be refused, not left out.)"""
    if path.suffix == _ENDING:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return _MANIFEST in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def named_like_one(path: Path) -> Path:
    """The file, or a link to it beside it: adb and AppWright take a file for an app only if it ends in .apk."""
    if path.suffix == _ENDING:
        return path
    link = path.with_name(path.name + _ENDING)
    if not link.is_symlink():
        link.symlink_to(path)
    return link
