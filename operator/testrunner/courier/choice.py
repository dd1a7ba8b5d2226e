"""Who does what: the courier container what needs credentials, this process the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgjob.api.credentials import COURIER_VARIABLE, git_purpose

from ..artifacts.stores import open_store
from ..cache import VARIABLE as CACHE_VARIABLE
from ..cache import Cache
from ..secrets import Secrets
from .local import LocalCourier
from .remote import RemoteCourier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qgjob.api.source import GitSource
    from qgjob.api.testtarget import TestTargetSpec

    from ..artifacts.base import Store
    from ..stop import StopToken


class Couriers:
    """A Courier. In a pod without a courier, and outside of a cluster, this process does everything."""

    def __init__(
        self,
        target: TestTargetSpec,
        app_version_id: str,
        *,
        environment: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        """`environment` is the runner's own."""
        self._target = target
        self._environment = environment
        self.cache = Cache.find(target.cache, environment.get(CACHE_VARIABLE), log)
        self._local = LocalCourier(
            target,
            app_version_id,
            secrets=Secrets.find(environment),
            cache=self.cache,
            environment=environment,
        )
        self._remote: RemoteCourier | None = None
        if socket := environment.get(COURIER_VARIABLE):
            # Both containers have this folder, at the same place.
            shared = Path(environment["QGJOB_WORKDIR"])
            seconds = float(target.timeouts.install_seconds)
            self._remote = RemoteCourier(Path(socket), shared, fetch_seconds=seconds)

    def fetch_app(self, to: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """See Courier."""
        app = self._target.app
        secret = app and (app.headers_secret or (app.s3 and app.s3.credentials_secret))
        courier = self._remote if secret and self._remote else self._local
        courier.fetch_app(to, stop=stop, log=log)

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
        prefixes = [each.url_prefix for each in self._target.git_credentials]
        secret = git_purpose(source.repository, prefixes)
        courier = self._remote if secret and self._remote else self._local
        return courier.fetch_git(source, folder, commit=commit, stop=stop, log=log)

    def store(self, namespace: str, target: str) -> Store | None:
        """The store of the target's artifacts; None where it has none."""
        artifacts = self._target.artifacts
        if artifacts is None:
            return None
        secret = (artifacts.s3 and artifacts.s3.credentials_secret) or artifacts.persistent_volume_claim
        if secret and self._remote:
            return self._remote
        return open_store(artifacts, namespace=namespace, target=target, environment=self._environment)
