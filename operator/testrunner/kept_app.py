"""An app's package in the cache. Tests may have changed what is there, so it is believed only what can be checked."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

from .digest import sha256_of
from .download import Version

if TYPE_CHECKING:
    from pathlib import Path

    from .cache import Cache

#: Files of a cache's entry.
_PACKAGE: Final = "package"
_ABOUT: Final = "about.json"
_MAX_ABOUT_BYTES: Final = 64 * 1024


class KeptApp:
    """One entry of the cache, which its caller has locked."""

    def __init__(self, cache: Cache, entry: Path) -> None:
        self._cache = cache
        self._entry = entry
        about = self._read_about()
        #: Empty where nothing is kept.
        self.sha256 = _word(about, "sha256")
        #: What the server said of it.
        self.version = (
            Version(_word(about, "etag"), _word(about, "lastModified")) if self.sha256 else Version()
        )

    def copied(self, to: Path) -> bool:
        """Copy the package; returns whether that is the one that was kept. Raises OSError where `to` can't be made."""
        with to.open("wb") as copy:
            try:
                with self._cache.read(self._entry, _PACKAGE) as package:
                    shutil.copyfileobj(package, copy)
            except FileNotFoundError:
                return False
            except OSError:
                copy.truncate(0)
        return sha256_of(to) == self.sha256

    def keep(self, package: Path, version: Version, *, url: str) -> None:
        """Put a package into its place; `url` is for people. Raises OSError."""
        about = {
            "url": url,
            "sha256": sha256_of(package),
            "size": package.stat().st_size,
            "etag": version.etag,
            "lastModified": version.last_modified,
        }
        with self._cache.scratch() as scratch:
            with package.open("rb") as source, self._cache.write(scratch, _PACKAGE) as copy:
                shutil.copyfileobj(source, copy)
            with self._cache.write(scratch, _ABOUT) as file:
                file.write(json.dumps(about, indent=2).encode())
            self._cache.replace(self._entry, scratch)

    def _read_about(self) -> dict[str, object]:
        try:
            with self._cache.read(self._entry, _ABOUT) as file:
                found = json.loads(file.read(_MAX_ABOUT_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _word(about: dict[str, object], key: str) -> str:
    """A text that can stand in a header, else an empty one."""
    found = about.get(key)
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""
