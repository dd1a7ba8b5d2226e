"""What the planner asks the writer to do. Plain data; each names the state that it was decided from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testqueue.core.model import (
        BatchView,
        DeviceLease,
        DeviceView,
        JobView,
        Key,
        TargetCounts,
        TargetView,
        Turn,
    )


@dataclass(frozen=True, slots=True)
class CreateBatch:
    """Create the TestBatch, claim its TestJobs, create its Kubernetes Job. In `jobs`' order they run."""

    target: TargetView
    name: str
    app_version_id: str
    device: DeviceView | None
    jobs: tuple[JobView, ...]
    #: How long each of `jobs` is expected to run.
    seconds: tuple[float, ...]
    turn: Turn
    #: Its device is on probation after a quarantine.
    trial: bool = False
    #: Other targets that name its device's address: none of them may have leased it by now.
    rivals: tuple[Key, ...] = ()

    @property
    def namespace(self) -> str:
        """The target's, and so the batch's."""
        return self.target.namespace

    @property
    def priority(self) -> int:
        """The highest of its TestJobs."""
        return max(job.priority for job in self.jobs)

    def spec(self) -> dict[str, Any]:
        """The TestBatch's spec as the API server takes it."""
        spec: dict[str, Any] = {
            "appVersionId": self.app_version_id,
            "target": self.target.name,
            "priority": self.priority,
            "turn": self.turn.to_object(),
            "fenceSeconds": int(self.target.fence_seconds),
            "jobs": [
                {
                    "name": job.name,
                    "uid": job.uid,
                    "attempt": job.attempt + 1,
                    "orgId": job.org,
                    "seconds": round(seconds, 3),
                }
                for job, seconds in zip(self.jobs, self.seconds, strict=True)
            ],
        }
        if self.trial:
            spec["trial"] = True
        if self.device is not None:
            spec["device"] = {"name": self.device.name, "address": self.device.address}
        return spec


@dataclass(frozen=True, slots=True)
class UpdateTarget:
    """Write the target's devices and counts in one patch, then create the batches that hold the leases.

    The patch holds only for the target's version: where it fails, none of `batches` is created.
    """

    target: TargetView
    leases: tuple[DeviceLease, ...]
    counts: TargetCounts
    batches: tuple[CreateBatch, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumeBatch:
    """A TestBatch that was left between its creation and its Kubernetes Job: claim what is free, create the Job."""

    batch: BatchView


@dataclass(frozen=True, slots=True)
class YieldBatch:
    """Ask a batch to give back what it has not started. Holds only for the batch's version."""

    batch: BatchView


@dataclass(frozen=True, slots=True)
class CheckBatch:
    """Something is odd about a batch: read it, its pods and its TestJobs live, and repair what recovery says.

    A nomination only: the cache may be old, so nothing is decided from it. The batch may not exist any more.
    """

    batch: Key
    why: str


@dataclass(frozen=True, slots=True)
class CancelJob:
    """spec.cancel is set and no runner has the TestJob: end it."""

    job: JobView


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """spec.replays was counted up: back into the line."""

    job: JobView


@dataclass(frozen=True, slots=True)
class ExplainJob:
    """Say in the status why a TestJob waits, if that is out of the ordinary; two empty texts take it back."""

    job: JobView
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RefuseJob:
    """One more than its org may have in the line: it ends Cancelled, and the message says what to do."""

    job: JobView
    reason: str
    message: str


Action = (
    CreateBatch
    | UpdateTarget
    | ResumeBatch
    | CheckBatch
    | CancelJob
    | ReplayJob
    | ExplainJob
    | RefuseJob
    | YieldBatch
)
