"""Which batches deserve a live look.

Only from the cache, so only a nomination: what to do is decided by `recovery` over what the API server says at
that moment. Too many nominations cost reads, a missing one costs a batch; each odd thing nominates again until
it is gone, at most once in RECHECK_SECONDS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testqueue.core.model import Key

if TYPE_CHECKING:
    from testqueue.core.model import BatchView
    from testqueue.core.store import Store

RECHECK_SECONDS: Final = 5.0
#: Kubernetes and our caches need some time for ordinary things; nothing is odd before.
SETTLE_SECONDS: Final = 3.0
#: A pod that does not start is looked at in time to say why within 30 s.
SLOW_START_SECONDS: Final = 15.0
#: The start timeout of a batch whose target was deleted: TestTarget.spec.timeouts' default.
ORPHAN_START_SECONDS: Final = 300.0


def is_unfinished(store: Store, batch: BatchView, now: float) -> bool:
    """Whether the batch's creation was cut short, and may go on: no Kubernetes Job, no pod and no runner yet."""
    return (
        not batch.over
        and not batch.pod
        and batch.key not in store.kube_jobs
        and not store.pods_of(batch.key)
        and batch.created + SETTLE_SECONDS <= now <= batch.created + _start_seconds(store, batch)
    )


def oddity(store: Store, batch: BatchView, now: float) -> str:
    """Why a batch needs a live look, or nothing."""
    claimed = store.claimed(batch.key)
    if batch.over:
        # The last outcomes and the batch's end come by different watches.
        late = now >= (batch.finished or batch.created) + SETTLE_SECONDS
        return "it is over, but TestJobs still belong to it" if claimed and late else ""
    if now < batch.created + SETTLE_SECONDS:
        return ""
    pods = store.pods_of(batch.key)
    if pods and all(pod.terminated for pod in pods):
        return "its pod ended before it did"
    if batch.local:
        return (
            "its runner is outside of the cluster"
            if now > batch.created + _start_seconds(store, batch)
            else ""
        )
    if batch.pod and not any(pod.uid == batch.pod for pod in pods):
        return "its pod is gone"
    if batch.pod and any(pod.overdue(now) for pod in pods if pod.uid == batch.pod):
        return "its pod was deleted, and does not end"
    if batch.pod:
        return ""
    if any(pod.problem for pod in pods):
        return "its pod cannot start"
    if any(pod.mounting for pod in pods) and now > batch.created + SLOW_START_SECONDS:
        return "its pod waits for its volumes"
    kube_job = store.kube_jobs.get(batch.key)
    if kube_job is not None and kube_job.ended:
        return "its Kubernetes Job ended before it did"
    if not pods and now > batch.created + SLOW_START_SECONDS:
        return "it has no pod"
    started = max(batch.created, kube_job.created if kube_job else 0.0)
    if now > started + _start_seconds(store, batch):
        return "it did not start in time"
    return ""


def _start_seconds(store: Store, batch: BatchView) -> float:
    target = store.targets.get(Key(batch.namespace, batch.target))
    return target.start_seconds if target else ORPHAN_START_SECONDS
