"""The Secrets that a target names, as files: for what fetches and keeps files, never for a test's process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from qgjob.api.credentials import APP_HEADERS, APP_S3, ARTIFACTS_S3, GIT, SECRETS_FOLDER

from .drivers.base import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["APP_HEADERS", "APP_S3", "ARTIFACTS_S3", "FOLDER", "GIT", "VARIABLE", "Secrets"]

#: Where a pod has them, one folder for each purpose; another place is named by VARIABLE.
FOLDER: Final = Path(SECRETS_FOLDER)
VARIABLE: Final = "QGJOB_SECRETS_DIR"


class Secrets:
    """Reads them when they are needed, so that a rotated one is the newest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Secrets:
        """Those of this container or machine."""
        return cls(Path(environment.get(VARIABLE) or FOLDER))

    def read(self, purpose: str, secret: str) -> dict[str, str]:
        """The keys and values of the Secret (its name is for the error only) that is mounted for a purpose.

        Bytes that are no text are kept as surrogates: another key of the Secret may be a certificate. Raises
        InfrastructureError where it is not there: a runner outside of a cluster, or a Secret without keys.
        """
        folder = self._folder / purpose
        # Kubernetes' own entries, through which it swaps all keys at once, begin with two dots.
        files = [path for path in folder.glob("*") if path.is_file() and not path.name.startswith("..")]
        if not files:
            raise InfrastructureError(
                f"the Secret {secret} is not in {folder}: does it exist in the target's namespace, and has it keys?"
            )
        return {path.name: path.read_text(errors="surrogateescape").rstrip("\n") for path in files}

    def path(self, purpose: str, key: str) -> Path:
        """The file of one key, for programs that want a file."""
        return self._folder / purpose / key
