"""Artifacts on a volume: a PersistentVolumeClaim that is mounted somewhere."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError
from .base import go_on
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..stop import StopToken
    from .base import Scope

# Beside the attempt's own folder and within the day: what a killed runner leaves goes with the day.
_PARTIAL: Final = ".partial-"


class VolumeStore:
    """Keeps a key's files in the folder of that name."""

    def __init__(self, mount: Path, scope: Scope) -> None:
        self._mount = mount
        self._scope = scope

    def store(
        self,
        key: str,
        folder: Path,
        *,
        stop: StopToken,
        log: Callable[[str], None],  # noqa: ARG002
    ) -> None:
        """Copy the files beside, and move them into their place when all are there."""
        self._scope.check(key)
        target = self._mount / key
        partial = target.parent / f"{_PARTIAL}{uuid.uuid4().hex[:12]}"
        tree = Tree(folder)
        try:
            partial.mkdir(parents=True)
            for file in tree.files():
                go_on(stop)
                path = partial / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with tree.open(file.name) as source, path.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
            # What an earlier try has stored is the same.
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        except OSError as error:
            raise InfrastructureError(f"the volume of artifacts: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def prune(self, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Look at the days' names only, where there is nothing to do."""
        root = self._mount / self._scope.place.root
        try:
            for day in sorted(root.iterdir() if root.is_dir() else ()):
                if day.is_symlink() or not self._scope.is_old(day.name):
                    continue
                for attempts in day.iterdir():
                    go_on(stop)
                    shutil.rmtree(attempts)
                shutil.rmtree(day)
                log(f"deleted the artifacts below {day.relative_to(self._mount)} (artifacts.retentionDays)")
        except FileNotFoundError:
            pass  # Another runner of the target prunes the same.
        except OSError as error:
            raise InfrastructureError(f"the volume of artifacts: {error}") from error
