"""The courier's work, done in this process: the courier's own, or a runner's that has its Secrets itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..app import fetch_app
from ..drivers.base import InfrastructureError
from ..sources.git import fetch_git
from ..sources.git_login import git_login

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qgjob.api.source import GitSource
    from qgjob.api.testtarget import TestTargetSpec

    from ..cache import Cache
    from ..secrets import Secrets
    from ..stop import StopToken


class LocalCourier:
    """Works by what the target says."""

    def __init__(
        self,
        target: TestTargetSpec,
        app_version_id: str,
        *,
        secrets: Secrets,
        cache: Cache | None,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` is that of the programs it starts: git may need anything (GIT_SSL_CAINFO, SSH_AUTH_SOCK, …)."""
        self._target = target
        self._app_version_id = app_version_id
        self._secrets = secrets
        self._cache = cache
        self._environment = environment

    def fetch_app(self, to: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """See Courier."""
        if self._target.app is None:
            raise InfrastructureError("the TestTarget has no app")
        fetch_app(
            self._target.app,
            self._app_version_id,
            to,
            secrets=self._secrets,
            cache=self._cache,
            stop=stop,
            log=log,
        )

    def fetch_git(
        self,
        source: GitSource,
        folder: Path,
        *,
        commit: str = "",
        stop: StopToken,
        log: Callable[[str], None],
    ) -> str:
        """See Courier."""
        with git_login(source.repository, self._target.git_credentials, self._secrets) as login:
            return fetch_git(
                source,
                folder,
                commit=commit,
                login=login,
                environment=self._environment,
                timeout=float(self._target.timeouts.install_seconds),
                stop=stop,
                log=log,
            )
