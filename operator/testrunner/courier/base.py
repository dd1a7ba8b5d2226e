"""What a courier does for a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.source import GitSource

    from ..stop import StopToken


class Courier(Protocol):
    """Does what needs the target's credentials. Every call may be made from any thread, several at once.

    `log` gets a line of progress now and then; `stop` ends the call, which then raises Stopped.
    """

    def fetch_app(self, to: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """Fetch the package of the batch's app version to a file.

        Raises SubmitterError (AppVersionNotFound, AppTooLarge), InfrastructureError, Stopped.
        """

    def fetch_git(
        self,
        source: GitSource,
        folder: Path,
        *,
        commit: str = "",
        stop: StopToken,
        log: Callable[[str], None],
    ) -> str:
        """Fetch a repository into a new folder; returns the commit that was checked out.

        That is `commit` where given, else what `source.revision` is now; `source.path` plays no part. Raises
        SubmitterError (SourceInvalid), InfrastructureError, Stopped.
        """
