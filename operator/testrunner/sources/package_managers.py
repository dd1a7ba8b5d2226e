"""npm, pnpm and yarn: which one a project's lock file is for, and how each installs exactly what that says. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Manager:
    """A package manager."""

    program: str
    #: Its lock files, the one that it prefers first.
    locks: tuple[str, ...]
    #: Installs what the lock file says, and changes neither that nor package.json.
    install: tuple[str, ...]
    #: What it says of a lock file that its author alone can mend.
    authors: re.Pattern[str]

    def command(self, which: Callable[[str], str | None]) -> list[str] | None:
        """How to install, by what `which` finds in the image; None where it can't be done there."""
        if which(self.program):
            return [self.program, *self.install]
        # Node's corepack fetches the version that package.json names. npm is not its affair.
        if self.program != "npm" and which("corepack"):
            return ["corepack", self.program, *self.install]
        return None


#: In the order in which they are looked for.
MANAGERS: Final = (
    Manager(
        "npm",
        ("package-lock.json", "npm-shrinkwrap.json"),
        ("ci", "--no-audit", "--no-fund", "--loglevel=error"),
        re.compile(
            r"npm (?:error|ERR!) code (EUSAGE|EJSONPARSE|EBADENGINE)\b|can only install packages when"
        ),
    ),
    Manager(
        "pnpm",
        ("pnpm-lock.yaml",),
        ("install", "--frozen-lockfile"),
        re.compile(
            r"ERR_PNPM_(?:OUTDATED_LOCKFILE|BROKEN_LOCKFILE|LOCKFILE_\w+|UNSUPPORTED_ENGINE|BAD_PM_VERSION)"
        ),
    ),
    Manager(
        "yarn",
        ("yarn.lock",),
        ("install", "--frozen-lockfile"),
        re.compile(r"[Ll]ockfile (?:needs to be updated|would have been)|The engine \S+ is incompatible"),
    ),
)


def manager_of(exists: Callable[[str], bool]) -> tuple[Manager, str] | None:
    """The manager and the lock file of a project in which `exists` finds files."""
    return next(((manager, lock) for manager in MANAGERS for lock in manager.locks if exists(lock)), None)


def is_workspace(lock: str, manifest: str) -> bool:
    """Whether packages lead into the project itself, by the text of its lock file and its package.json."""
    return bool(re.search(r'"link":\s*true|\blink:', lock) or '"workspaces"' in manifest)
