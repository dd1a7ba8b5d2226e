"""Which store a target's artifacts go to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from qgjob.api.credentials import ARTIFACTS_FOLDER

from ..secrets import Secrets
from .base import Scope
from .bucket import BucketStore
from .volume import VolumeStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qgjob.api.stores import Artifacts

    from .base import Store

#: Where a pod has the target's claim mounted; another place is named by VARIABLE.
MOUNT: Final = Path(ARTIFACTS_FOLDER)
VARIABLE: Final = "QGJOB_ARTIFACTS_DIR"


def open_store(artifacts: Artifacts, *, namespace: str, target: str, environment: Mapping[str, str]) -> Store:
    """The store of a target's artifacts; nothing is sent yet."""
    scope = Scope.of(artifacts, namespace, target)
    if artifacts.s3 is not None:
        return BucketStore(artifacts.s3, scope, Secrets.find(environment))
    return VolumeStore(Path(environment.get(VARIABLE) or MOUNT), scope)
