"""A project's npm packages: installed by its lock file once, and kept in the target's cache."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from ..cache import Cache, CacheBusy
from ..drivers.base import InfrastructureError, Stopped
from ..process import ProcessEnd, run_process
from .extract import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..stop import StopToken

_FOLDER: Final = "node_modules"
_LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json")
_OTHER_LOCKS: Final = ("yarn.lock", "pnpm-lock.yaml")
#: The runner stops an install earlier, when the target's installSeconds are over.
_SECONDS: Final = 3600.0
#: A lock file that does not fit its package.json, or that npm can't read: only its author can mend it.
_AUTHORS: Final = re.compile(
    r"npm (?:error|ERR!) code (EUSAGE|EJSONPARSE|EBADENGINE)\b|can only install packages when"
)
_WORKSPACE: Final = re.compile(r'"link":\s*true')


class Packages:
    """Provides node_modules for projects that bring a lock file, and no node_modules. Used by one thread at a time."""

    def __init__(self, cache: Cache, environment: Mapping[str, str]) -> None:
        """`environment` is that of the processes of the batch: scripts of packages are as untrusted as tests."""
        self._cache = cache
        self._environment = environment
        # What projects link to must not be evicted before this process ends.
        self._in_use = ExitStack()

    def provide(self, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Install or link them, where the project has a lock file and this image has npm.

        Raises SubmitterError (SourceInvalid: the lock file does not fit), InfrastructureError, Stopped.
        """
        lock = next((folder / name for name in _LOCKS if (folder / name).is_file()), None)
        if (
            not (folder / "package.json").is_file()
            or (folder / _FOLDER).exists()
            or not os.access(folder, os.W_OK)
        ):
            return
        if lock is None:
            if other := next((name for name in _OTHER_LOCKS if (folder / name).is_file()), None):
                log(f"the packages of {other} are not installed: only npm's lock file is known")
            return
        npm, node = (shutil.which(name, path=self._environment.get("PATH")) for name in ("npm", "node"))
        if npm is None or node is None:
            log(f"the packages of {lock.name} are not installed: this image has no npm")
            return
        text = lock.read_bytes()
        if _WORKSPACE.search(text.decode(errors="replace")):
            log(f"{lock.name} has links into the project (workspaces): its packages can't be cached")
            self._install(folder, stop)
            return
        version = self._run([node, "--version"], folder, stop).tail.strip()
        name = f"npm {hashlib.sha256(text).hexdigest()} {version} {platform.system()} {platform.machine()}"
        try:
            self._provide_cached(name, folder, stop, log)
        except (CacheBusy, OSError) as error:
            log(f"the packages of {lock.name} are installed without the cache: {error}")
            if not (folder / _FOLDER).exists():
                self._install(folder, stop)

    def _provide_cached(self, name: str, folder: Path, stop: StopToken, log: Callable[[str], None]) -> None:
        if self._linked(name, folder, stop):
            log("the project's npm packages are in the cache")
            return
        with self._cache.entry(name, stop=stop) as entry:
            if not (entry / _FOLDER).is_dir():
                log("installing the project's npm packages, by its lock file")
                self._install(folder, stop)
                with self._cache.scratch() as scratch:
                    shutil.copytree(folder / _FOLDER, scratch / _FOLDER, symlinks=True)
                    self._cache.replace(entry, scratch)
                return
        # Another pod has installed them meanwhile.
        if not self._linked(name, folder, stop):
            self._install(folder, stop)

    def _linked(self, name: str, folder: Path, stop: StopToken) -> bool:
        with ExitStack() as lock:
            entry = lock.enter_context(self._cache.using(name, stop=stop))
            if not (entry / _FOLDER).is_dir():
                return False
            (folder / _FOLDER).symlink_to(entry / _FOLDER)
            self._in_use.enter_context(lock.pop_all())
        return True

    def _install(self, folder: Path, stop: StopToken) -> None:
        end = self._run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder, stop)
        if end.returncode == 0:
            return
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)
        said = [line.strip() for line in end.tail.splitlines() if line.strip()]
        text = " ".join(said[:6]) or f"it ended with {end.returncode}"
        if _AUTHORS.search(end.tail):
            raise invalid(f"npm ci: {text}")
        raise InfrastructureError(f"the project's npm packages can't be installed: {text}")

    def _run(self, argv: list[str], folder: Path, stop: StopToken) -> ProcessEnd:
        end = run_process(
            argv,
            cwd=folder,
            env=self._environment,
            timeout=_SECONDS,
            stop=stop,
            grace=5.0,
            on_line=lambda _: None,
        )
        if end.stopped or end.timed_out:
            raise Stopped(stop.reason or f"npm took longer than {_SECONDS:g} s")
        return end
