"""Preparing sources: each distinct one once a batch, good or bad."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..drivers.base import InfrastructureError, Stopped, SubmitterError
from .archive import prepare_archive
from .config_map import prepare_config_map
from .git import project_folder
from .image import prepare_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.source import GitSource, Source
    from qgjob.client import Client

    from ..courier.base import Courier
    from ..stop import StopToken
    from .packages import Packages


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that is ready."""

    #: The project.
    folder: Path
    #: The commit of a git source; empty for others.
    commit: str = ""


class SourceStore:
    """The batch's source folders, by what they were made from."""

    def __init__(
        self,
        root: Path,
        *,
        client: Client,
        namespace: str,
        courier: Courier,
        packages: Packages | None,
        log: Callable[[str], None],
    ) -> None:
        """`packages` installs what a project's lock file names, where the target has a cache for it."""
        self._root = root
        self._client = client
        self._namespace = namespace
        self._courier = courier
        self._packages = packages
        self._log = log
        self._ready: dict[str, Prepared] = {}
        self._checkouts: dict[tuple[str, str], Prepared] = {}
        self._made = 0
        self._broken: dict[str, SubmitterError | InfrastructureError] = {}

    @property
    def folders(self) -> list[Path]:
        """The folders that are ready."""
        return list(dict.fromkeys(each.folder for each in self._ready.values()))

    def known(self, source: Source | None, commit: str = "") -> Prepared | None:
        """A source that is ready."""
        return self._ready.get(_key(source, commit))

    def broken(
        self, source: Source | None, commit: str, error: SubmitterError | InfrastructureError
    ) -> SubmitterError | InfrastructureError:
        """Give up on a source; returns the error that every `prepare` of it raises from now on."""
        self._broken[_key(source, commit)] = error
        return error

    def prepare(self, source: Source | None, commit: str, stop: StopToken) -> Prepared:
        """Make a source ready; None (nobody named one) is an empty folder.

        `commit` is what an earlier attempt ran of a git source; empty for the first one. Raises SubmitterError or
        InfrastructureError, the same one for every TestJob of the source; Stopped.
        """
        key = _key(source, commit)
        if key in self._broken:
            raise self._broken[key]
        if key not in self._ready:
            try:
                made = self._make(source, commit, stop)
                if self._packages is not None:
                    self._packages.provide(made.folder, stop=stop, log=self._log)
                self._ready[key] = made
            except (SubmitterError, InfrastructureError) as error:
                raise self.broken(source, commit, error) from error.__cause__
            except Stopped:
                raise
            except Exception as error:
                # Whatever it is, it costs only the TestJobs of this source.
                self._log(traceback.format_exc())
                said = f"the test files could not be prepared: {type(error).__name__}: {error}"
                raise self.broken(source, commit, InfrastructureError(said)) from error
        return self._ready[key]

    def _make(self, source: Source | None, commit: str, stop: StopToken) -> Prepared:
        if source is not None and source.git:
            checkout = self._checkout(source.git, commit, stop)
            return Prepared(project_folder(source.git, checkout.folder), checkout.commit)
        folder = self._new_folder()
        if source is None:
            folder.mkdir()
            return Prepared(folder)
        if source.image:
            return Prepared(prepare_image(source.image))
        if source.config_map:
            return Prepared(
                prepare_config_map(source.config_map, folder, client=self._client, namespace=self._namespace)
            )
        if source.archive:
            return Prepared(prepare_archive(source.archive, folder, stop=stop, log=self._log))
        raise SubmitterError("SourceInvalid", "the source is of a kind that this runner doesn't know")

    def _checkout(self, git: GitSource, commit: str, stop: StopToken) -> Prepared:
        """A repository at a commit: the same for all projects in it, and for the branch that has it now."""
        wanted = (git.repository, commit or git.revision)
        if wanted not in self._checkouts:
            folder = self._new_folder()
            found = self._courier.fetch_git(git, folder, commit=commit, stop=stop, log=self._log)
            made = self._checkouts.setdefault((git.repository, found), Prepared(folder, found))
            self._checkouts[wanted] = made
        return self._checkouts[wanted]

    def _new_folder(self) -> Path:
        self._made += 1
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root / str(self._made)


def _key(source: Source | None, commit: str) -> str:
    if source is None:
        return ""
    text = source.model_dump_json(exclude_none=True)
    return f"{text} {commit}" if source.git else text
