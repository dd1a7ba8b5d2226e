"""Installing qgjob's CustomResourceDefinitions from the models, and waiting until they are served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hack.localcluster.rest import ApiError
from qgjob.api.constants import API_VERSION
from qgjob.api.schema import RESOURCES, crd

if TYPE_CHECKING:
    from hack.localcluster.rest import ApiClient

PATIENCE_SECONDS = 60.0


def install_crds(client: ApiClient) -> None:
    """Harmless where they are there already."""
    for model in RESOURCES:
        try:
            client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(model))
        except ApiError as error:
            if error.status != 409:
                raise
    deadline = time.monotonic() + PATIENCE_SECONDS
    for model in RESOURCES:
        while True:
            try:
                client.get(f"/apis/{API_VERSION}/{model.PLURAL}")  # type: ignore[attr-defined]
                break
            except ApiError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
