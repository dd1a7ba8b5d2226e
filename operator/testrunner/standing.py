"""What an object, as it was just read, says about whose it is. Pure: decisions of the batch protocol."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle

if TYPE_CHECKING:
    from qgjob.api.testbatch import BatchJob

Object = Mapping[str, Any]

OVER_PHASES: Final = frozenset({"Completed", "Failed", "Yielded"})


class Ownership(Enum):
    """Whose a TestBatch is, seen from one pod."""

    FREE = "no pod has taken it yet"
    MINE = "it is this pod's"
    TAKEN = "another pod owns it"
    OVER = "it is over"
    REPLACED = "it was deleted, and another one has its name"


def ownership(batch: Object, *, uid: str, pod_uid: str) -> Ownership:
    """Whose the batch is. `uid` is the one that it had when this pod first saw it."""
    status = batch.get("status") or {}
    if batch["metadata"]["uid"] != uid:
        return Ownership.REPLACED
    if status.get("phase") in OVER_PHASES:
        return Ownership.OVER
    owner = status.get("pod") or ""
    if not owner:
        return Ownership.FREE
    return Ownership.MINE if owner == pod_uid else Ownership.TAKEN


class Standing(Enum):
    """Where a TestJob stands towards one entry of a batch, seen from the pod that owns the batch."""

    UNCLAIMED = "not claimed for this entry yet"
    READY = "claimed for this entry, not started"
    RUNNING = "running in this pod"
    OVER = "this attempt is over"
    LOST = "it belongs to somebody else, or is gone"


def standing(job: Object | None, entry: BatchJob, *, batch: str, pod: str) -> Standing:
    """Where the TestJob stands; `job` is None where there is none of that name. `pod` is the pod's name."""
    if job is None or job["metadata"]["uid"] != entry.uid:
        return Standing.LOST
    status = job.get("status") or {}
    phase, attempt = lifecycle.get(status, "phase"), lifecycle.get(status, "attempt")
    if phase in lifecycle.WAITING and attempt == entry.attempt - 1:
        return Standing.UNCLAIMED
    if lifecycle.get(status, "batch") != batch or attempt != entry.attempt:
        return Standing.LOST
    if phase == lifecycle.SCHEDULED:
        return Standing.READY
    if phase == lifecycle.RUNNING:
        return Standing.RUNNING if lifecycle.get(status, "pod") == pod else Standing.LOST
    return Standing.OVER
