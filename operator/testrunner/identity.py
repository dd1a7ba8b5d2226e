"""Who this runner is: the pod that owns the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qgjob.api.constants import LOCAL_POD_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that this runner is."""

    #: What TestBatch.status.pod holds: no two pods ever share it.
    uid: str
    #: What TestJob.status.pod holds: where the logs are.
    name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], new_uuid: Callable[[], UUID]) -> Pod:
        """By the downward API's POD_UID and POD_NAME; outside a cluster, one that is made up."""
        uid, name = environment.get("POD_UID"), environment.get("POD_NAME")
        if uid and name:
            return cls(uid, name)
        made_up = new_uuid()
        return cls(str(made_up), f"{LOCAL_POD_PREFIX}{made_up.hex[:12]}")
