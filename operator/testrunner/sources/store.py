"""Preparing sources: each distinct one once a batch, good or bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..drivers.base import InfrastructureError, SubmitterError
from .archive import prepare_archive
from .config_map import prepare_config_map
from .git import prepare_git
from .image import prepare_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qgjob.api.source import Source
    from qgjob.client import Client

    from ..stop import StopToken


class SourceStore:
    """The batch's source folders, by what they were made from."""

    def __init__(
        self,
        root: Path,
        *,
        client: Client,
        namespace: str,
        environment: Mapping[str, str],
        timeout: float,
        log: Callable[[str], None],
    ) -> None:
        self._root = root
        self._client = client
        self._namespace = namespace
        self._environment = environment
        self._timeout = timeout
        self._log = log
        self._ready: dict[str, Path] = {}
        self._made = 0
        self._broken: dict[str, SubmitterError | InfrastructureError] = {}

    @property
    def folders(self) -> list[Path]:
        """The folders that are ready."""
        return list(dict.fromkeys(self._ready.values()))

    def known(self, source: Source | None) -> Path | None:
        """The folder of a source that is ready."""
        return self._ready.get(_key(source))

    def broken(
        self, source: Source | None, error: SubmitterError | InfrastructureError
    ) -> SubmitterError | InfrastructureError:
        """Give up on a source; returns the error that every `prepare` of it raises from now on."""
        self._broken[_key(source)] = error
        return error

    def prepare(self, source: Source | None, stop: StopToken) -> Path:
        """The folder of a source; None (nobody named one) is an empty folder.

        Raises SubmitterError or InfrastructureError, the same one for every TestJob of the source; Stopped.
        """
        key = _key(source)
        if key in self._broken:
            raise self._broken[key]
        if key not in self._ready:
            try:
                self._ready[key] = self._make(source, stop)
            except (SubmitterError, InfrastructureError) as error:
                raise self.broken(source, error) from error.__cause__
        return self._ready[key]

    def _make(self, source: Source | None, stop: StopToken) -> Path:
        self._made += 1
        folder = self._root / str(self._made)
        self._root.mkdir(parents=True, exist_ok=True)
        if source is None:
            folder.mkdir()
            return folder
        if source.image:
            return prepare_image(source.image)
        if source.config_map:
            return prepare_config_map(
                source.config_map, folder, client=self._client, namespace=self._namespace
            )
        if source.archive:
            return prepare_archive(source.archive, folder, stop=stop, log=self._log)
        if source.git:
            return prepare_git(
                source.git,
                folder,
                environment=self._environment,
                timeout=self._timeout,
                stop=stop,
                log=self._log,
            )
        raise SubmitterError("SourceInvalid", "the source is of a kind that this runner doesn't know")


def _key(source: Source | None) -> str:
    return source.model_dump_json(exclude_none=True) if source else ""
