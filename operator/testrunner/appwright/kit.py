"""Where AppWright, Playwright and Appium are: in the image, or in a folder that was set up with the same files."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where the image `runner-appwright` has it; another place is named by VARIABLE.
HOME: Final = Path("/opt/appwright")
VARIABLE: Final = "QGJOB_APPWRIGHT_KIT"
#: The kit's files without node_modules, as this package ships them.
FILES: Final = Path(__file__).parent.parent / "kit"
PLAYWRIGHT_CLI: Final = "node_modules/@playwright/test/cli.js"


class Kit:
    """A folder with the kit's files and their installed packages."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Kit:
        """The kit of this image or machine. Raises InfrastructureError where it has none."""
        home = Path(environment.get(VARIABLE) or HOME)
        if not (home / PLAYWRIGHT_CLI).is_file():
            raise InfrastructureError(
                f"AppWright and Appium are not in {home} (or where {VARIABLE} says): use the image runner-appwright, "
                "one that is based on it, or a folder made by `python -m testrunner.appwright.kit FOLDER`"
            )
        return cls(home)

    @property
    def shims(self) -> Path:
        """Programs that stand in front of what AppWright calls."""
        return self.home / "bin"

    @property
    def reporter(self) -> Path:
        """The Playwright reporter that writes events."""
        return self.home / "reporter.cjs"

    @property
    def default_config(self) -> Path:
        """The configuration of projects that have none."""
        return self.home / "appwright.config.ts"

    @property
    def appium(self) -> Path:
        """Appium's program."""
        return self.home / "node_modules" / "appium" / "index.js"


def fingerprint() -> str:
    """Changes with any of the kit's files: names a folder that it was installed into."""
    digest = hashlib.sha256()
    for path in sorted(p for p in FILES.rglob("*") if p.is_file() and "node_modules" not in p.parts):
        digest.update(str(path.relative_to(FILES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def set_up(home: Path) -> Kit:
    """Copy the kit's files to a folder and install its packages with npm, where that is not done yet.

    Raises subprocess.CalledProcessError, FileNotFoundError (no npm).
    """
    done = home / ".installed"
    if done.exists() and done.read_text() == fingerprint():
        return Kit(home)
    shutil.copytree(FILES, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=home, check=True)
    done.write_text(fingerprint())
    return Kit(home)


if __name__ == "__main__":
    import sys

    set_up(Path(sys.argv[1]).resolve())
