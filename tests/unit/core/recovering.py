"""A live look for the examples of what recovery decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testqueue.core.recovery import FENCE_MARGIN_SECONDS, Live, Repair, decide

from .objects import NOW, batch, job, pod

if TYPE_CHECKING:
    from testqueue.core.model import BatchView, JobView, KubeJobView, PodView

OWNER = pod()
FENCED = 60 + FENCE_MARGIN_SECONDS
SCHEDULED = job("scheduled", phase="Scheduled", batch="tb-1", attempt=1)
RUNNING = job("running", phase="Running", batch="tb-1", pod=OWNER.name, attempt=1)


def owned(by: PodView = OWNER, **status: Any) -> BatchView:
    """A batch that a runner has taken, and installed for."""
    return batch(**{"phase": "Running", "pod": by.uid, "podName": by.name, "installSeconds": 3.0, **status})


def look(
    found: BatchView | None,
    *jobs: JobView,
    pods: tuple[PodView, ...] = (),
    kube_job: KubeJobView | None = None,
    now: float = 10,
    absent_since: float | None = None,
) -> Repair:
    """What a live look at NOW + `now` leads to; the target's timeouts are the defaults."""
    live = Live(
        batch=found,
        jobs=jobs,
        pods=pods,
        kube_job=kube_job,
        first_absent=None if absent_since is None else NOW + absent_since,
        fence_seconds=60,
        start_seconds=300,
        batch_seconds=7200,
    )
    return decide(live, NOW + now)


def released(repair: Repair) -> dict[str, str]:
    """What becomes of each TestJob: 'give_back', or 'charge' and the reason."""
    return {step.job.name: f"{step.how} {step.reason}".strip() for step in repair.release}
