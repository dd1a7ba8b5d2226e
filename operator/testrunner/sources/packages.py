"""A project's npm packages: installed by its lock file once, and kept in the target's cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from ..cache import Cache, CacheBusy
from ..drivers.base import InfrastructureError, Stopped
from ..process import ProcessEnd, run_process
from .extract import invalid
from .package_managers import Manager, is_workspace, manager_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..stop import StopToken

_FOLDER: Final = "node_modules"
#: What yarn makes instead, unless it is told otherwise.
_PLUG_AND_PLAY: Final = ".pnp.cjs"
#: The runner stops an install earlier, when the target's installSeconds are over.
_SECONDS: Final = 3600.0


class Packages:
    """Provides node_modules for projects that bring a lock file, and no node_modules. Used by one thread at a time."""

    def __init__(self, cache: Cache, environment: Mapping[str, str]) -> None:
        """`environment` is that of the processes of the batch: scripts of packages are as untrusted as tests."""
        self._cache = cache
        self._environment = environment
        # What projects link to must not be evicted before this process ends.
        self._in_use = ExitStack()

    def provide(self, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Install or link them, where the project has a lock file and this image has what it is for.

        Raises SubmitterError (SourceInvalid: the lock file does not fit), InfrastructureError, Stopped.
        """
        if (
            not (folder / "package.json").is_file()
            or (folder / _FOLDER).exists()
            or not os.access(folder, os.W_OK)
        ):
            return
        found = manager_of(lambda name: (folder / name).is_file())
        if found is None:
            return
        manager, lock = found
        command, node = manager.command(self._which), self._which("node")
        if command is None or node is None:
            missing = manager.program if node else "Node"
            log(f"the packages of {lock} are not installed: this image has no {missing} (docs/sources.md)")
            return
        install = partial(self._install, folder, manager, command, stop)
        text = (folder / lock).read_bytes()
        if is_workspace(text.decode(errors="replace"), (folder / "package.json").read_text(errors="replace")):
            log(f"{lock} has links into the project (workspaces): its packages can't be cached")
            install()
            return
        version = self._run([node, "--version"], folder, stop).tail.strip()
        digest = hashlib.sha256(text).hexdigest()
        name = f"{manager.program} {digest} {version} {platform.system()} {platform.machine()}"
        try:
            self._provide_cached(name, folder, install, stop, log)
        except (CacheBusy, OSError) as error:
            log(f"the packages of {lock} are installed without the cache: {error}")
            if not (folder / _FOLDER).exists():
                install()

    def _provide_cached(
        self,
        name: str,
        folder: Path,
        install: Callable[[], None],
        stop: StopToken,
        log: Callable[[str], None],
    ) -> None:
        if self._linked(name, folder, stop):
            log("the project's npm packages are in the cache")
            return
        with self._cache.entry(name, stop=stop) as entry:
            if not (entry / _FOLDER).is_dir():
                log("installing the project's npm packages, by its lock file")
                install()
                with self._cache.scratch() as scratch:
                    shutil.copytree(folder / _FOLDER, scratch / _FOLDER, symlinks=True)
                    self._cache.replace(entry, scratch)
                return
        # Another pod has installed them meanwhile.
        if not self._linked(name, folder, stop):
            install()

    def _linked(self, name: str, folder: Path, stop: StopToken) -> bool:
        with ExitStack() as lock:
            entry = lock.enter_context(self._cache.using(name, stop=stop))
            if not (entry / _FOLDER).is_dir():
                return False
            (folder / _FOLDER).symlink_to(entry / _FOLDER)
            self._in_use.enter_context(lock.pop_all())
        return True

    def _install(self, folder: Path, manager: Manager, command: list[str], stop: StopToken) -> None:
        end = self._run(command, folder, stop)
        if end.returncode == 0:
            if (folder / _PLUG_AND_PLAY).exists():
                raise invalid("yarn installs without node_modules here: set nodeLinker to node-modules")
            return
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)
        said = [line.strip() for line in end.tail.splitlines() if line.strip()]
        text = " ".join(said[:6]) or f"it ended with {end.returncode}"
        if manager.authors.search(end.tail):
            raise invalid(f"{manager.program} {manager.install[0]}: {text}")
        raise InfrastructureError(f"the project's npm packages can't be installed: {text}")

    def _which(self, program: str) -> str | None:
        return shutil.which(program, path=self._environment.get("PATH"))

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
            raise Stopped(stop.reason or f"{argv[0]} took longer than {_SECONDS:g} s")
        return end
