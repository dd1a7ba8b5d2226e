"""What to do about a batch that looks odd: a pure decision over objects that were read live a moment ago.

The cases are those of "How a batch lives, and what each crash leaves" in docs/architecture.md. Two things are
kept apart throughout: what may be given back (nothing has started, or what ran has surely stopped), and what
must wait because a process that nobody sees any more may still be running. A missing pod object is no proof: the
container of a force-deleted pod lives on until its runner fences itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from qgjob.api import lifecycle

if TYPE_CHECKING:
    from testqueue.core.model import BatchView, JobView, Key, KubeJobView, PodView

#: Added to the fence time before a process that can't be seen is taken for stopped: a runner reads its batch each
#: third of the fence time, stops its tests within some seconds, and clocks differ in rate, not only in value.
FENCE_MARGIN_SECONDS: Final = 15.0
#: While something is expected to change by itself, look again so much later.
PATIENCE_SECONDS: Final = 5.0

#: A pod that no node takes is ordinary for so long.
SCHEDULING_SECONDS: Final = 10.0
UNSCHEDULABLE: Final = "Unschedulable"
_PULLING: Final = {"ErrImagePull": "ImagePullBackOff"}

Release = Literal["give_back", "charge"]


@dataclass(frozen=True, slots=True)
class Live:
    """A batch and what belongs to it, read live. `batch` None: it does not exist.

    `first_absent`: since when (seconds since the epoch) this operator has not seen the pod that owns the batch,
    or None when this is the first time. The seconds are the target's; `batch_seconds` holds
    for install and tests together.
    """

    batch: BatchView | None
    jobs: tuple[JobView, ...]
    pods: tuple[PodView, ...]
    kube_job: KubeJobView | None
    first_absent: float | None
    fence_seconds: float
    start_seconds: float
    batch_seconds: float


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Take a TestJob from its batch: back to the line at no cost, or with one infrastructure failure."""

    job: JobView
    how: Release
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """What to do, in this order; all of it with preconditions on what was read.

    `end`: mark the batch Failed with (reason, message). `delete_job`: its Kubernetes Job first, so that no pod of
    it starts any more. `explain`: (reason, message) on why it does not start, for the batch and its TestJobs.
    `absent`: the owner was not seen; remember since when.
    `gone`: nothing of a batch that does not exist can run any more. `again`: look again so many seconds later.
    """

    release: tuple[ReleaseJob, ...] = ()
    delete_job: bool = False
    end: tuple[str, str] | None = None
    explain: tuple[str, str] | None = None
    absent: bool = False
    gone: bool = False
    again: float = PATIENCE_SECONDS


class Absences:
    """Since when this operator has not seen whom it looked for, by batch. In memory: a new operator waits anew.

    An absence is one owner's, or that of a batch which does not exist: how long one of them was not seen says
    nothing about another. Seconds since the epoch.
    """

    def __init__(self) -> None:
        self._since: dict[Key, tuple[str, float]] = {}

    def since(self, key: Key, batch: BatchView | None) -> float | None:
        """Since when the one that matters now is missed; None where it was not missed before."""
        whom, when = self._since.get(key, ("", 0.0))
        return when if whom == _whom(batch) else None

    def note(self, key: Key, batch: BatchView | None, repair: Repair, now: float) -> None:
        """Remember what a live look has come to."""
        if not repair.absent:
            self._since.pop(key, None)
        elif self.since(key, batch) is None:
            self._since[key] = (_whom(batch), now)


def _whom(batch: BatchView | None) -> str:
    return f"{batch.uid}/{batch.pod}" if batch is not None else "no batch"


def decide(live: Live, now: float) -> Repair:
    """The repair that the state asks for; an empty one where all is well or patience is due."""
    if live.batch is None:
        return _without_batch(live, now)
    if live.batch.over:
        return _over(live, live.batch, now)
    if live.batch.pod:
        return _owned(live, live.batch, now)
    return _unowned(live, live.batch, now)


def _without_batch(live: Live, now: float) -> Repair:
    """Someone deleted the batch, or it was never created after its device was leased."""
    scheduled, running = _claims(live)
    release = tuple(ReleaseJob(job, "give_back") for job in scheduled)
    if any(_may_run(pod, now) for pod in live.pods):
        return Repair(release=release)  # garbage collection ends it, with its grace period
    # Who owned it is not known any more. A pod that is seen ended speaks for itself only, not for its device.
    fenced = _fenced(live, now)
    ended = {pod.name for pod in live.pods if pod.terminated}
    message = "its batch was deleted while the test ran"
    release += tuple(
        ReleaseJob(job, "charge", "BatchDeleted", message) for job in running if fenced or job.pod in ended
    )
    if not fenced:
        return Repair(release=release, absent=True, again=_wait(live, now))
    return Repair(release=release, gone=True)


def _over(live: Live, batch: BatchView, now: float) -> Repair:
    """It is over, so its runner starts nothing; a TestJob that still belongs to it was left behind."""
    scheduled, running = _claims(live)
    release = tuple(ReleaseJob(job, "give_back") for job in scheduled)
    if not running:
        return Repair(release=release)
    # The runner may still be about to send this one's result.
    owner = _owner(live, batch)
    if owner is not None and _may_run(owner, now):
        return Repair(release=release)
    if not _has_ended(owner) and not _fenced(live, now):
        return Repair(release=release, absent=True, again=_wait(live, now))
    message = batch.message or "its runner ended without a result"
    release += tuple(ReleaseJob(job, "charge", batch.reason or "RunnerLost", message) for job in running)
    return Repair(release=release)


def _owned(live: Live, batch: BatchView, now: float) -> Repair:
    """A runner has taken the batch; it should end it itself."""
    scheduled, running = _claims(live)
    owner = _owner(live, batch)
    if owner is not None and _may_run(owner, now):
        return Repair()
    if batch.local and now < (batch.started or batch.created) + live.batch_seconds:
        return Repair()  # there is no pod to look for: it is trusted for as long as a batch may take
    if owner is not None and owner.terminated:
        reason = "Evicted" if owner.evicted else (owner.problem or "RunnerLost")
        message = owner.message or "the runner's pod ended before the batch did"
        started = bool(running) or batch.phase == "Running"
        return Repair(
            release=_release(scheduled, running, reason, message, free=started or owner.evicted),
            end=(reason, message),
        )
    # Nothing that was not started can start now: the runner's own patch tests the claim that is taken back here.
    release = tuple(ReleaseJob(job, "give_back") for job in scheduled)
    if not _fenced(live, now):
        return Repair(release=release, absent=True, again=_wait(live, now))
    message = "the runner's pod was deleted"
    release += tuple(ReleaseJob(job, "charge", "PodDeleted", message) for job in running)
    return Repair(release=release, end=("PodDeleted", message))


def _unowned(live: Live, batch: BatchView, now: float) -> Repair:
    """No runner has taken it yet: it is starting, or it can't."""
    scheduled, running = _claims(live)
    if running:
        return Repair()  # only an owner starts tests: a runner has taken the batch since it was read
    ended = [pod for pod in live.pods if pod.terminated]
    problem = next(((pod.problem, pod.message) for pod in live.pods if pod.problem), None)
    if ended and len(ended) == len(live.pods):
        evicted = any(pod.evicted for pod in ended)
        reason, message = problem or ("RunnerLost", "the runner's pod ended before it took the batch")
        if evicted:
            reason = "Evicted"
        return Repair(release=_release(scheduled, [], reason, message, free=evicted), end=(reason, message))
    if live.kube_job is not None and live.kube_job.ended and not live.pods:
        message = live.kube_job.message or "the runner's pod was deleted before it took the batch"
        # It cannot take the batch any more once that is over, so nothing ran and nobody is to blame.
        return Repair(release=_release(scheduled, [], "", "", free=True), end=("PodDeleted", message))
    # An operator that was away between the batch and its Job must not be held against the runner.
    started = max(batch.created, live.kube_job.created if live.kube_job else 0.0)
    if now > started + live.start_seconds:
        reason, message = problem or (batch.reason, batch.message)
        reason = reason or "StartTimeout"
        message = f"no runner within {live.start_seconds:.0f} s" + (f": {message}" if message else "")
        return Repair(
            release=_release(scheduled, [], reason, message, free=False),
            delete_job=live.kube_job is not None,
            end=(reason, message),
        )
    if problem is not None and _is_news(problem[0], batch, now):
        return Repair(explain=problem)
    return Repair()


def _is_news(reason: str, batch: BatchView, now: float) -> bool:
    """Whether people should be told. The kubelet alternates between ErrImagePull and ImagePullBackOff, and the
    scheduler's message changes with each node: each change would be a write to the batch and to its TestJobs."""
    if reason == UNSCHEDULABLE and now < batch.created + SCHEDULING_SECONDS:
        return False  # nodes may be on their way
    return _PULLING.get(reason, reason) != _PULLING.get(batch.reason, batch.reason)


def _claims(live: Live) -> tuple[list[JobView], list[JobView]]:
    scheduled = [job for job in live.jobs if job.phase == lifecycle.SCHEDULED]
    running = [job for job in live.jobs if job.phase == lifecycle.RUNNING]
    return scheduled, running


def _release(
    scheduled: list[JobView], running: list[JobView], reason: str, message: str, *, free: bool
) -> tuple[ReleaseJob, ...]:
    """Running ones are charged; the others too, unless the batch had started or was evicted (`free`)."""
    charged = running if free else [*scheduled, *running]
    given = scheduled if free else []
    return (
        *(ReleaseJob(job, "give_back") for job in given),
        *(ReleaseJob(job, "charge", reason, message) for job in charged),
    )


def _owner(live: Live, batch: BatchView) -> PodView | None:
    return next((pod for pod in live.pods if pod.uid == batch.pod), None)


def _may_run(pod: PodView, now: float) -> bool:
    """Whether the runner in it may go on with its batch: it did not end, and its token still holds."""
    return not pod.terminated and not pod.overdue(now)


def _has_ended(pod: PodView | None) -> bool:
    return pod is not None and pod.terminated


def _fenced(live: Live, now: float) -> bool:
    """Whether a runner that can't be seen must have stopped its tests by now."""
    return live.first_absent is not None and _wait(live, now) <= 0


def _wait(live: Live, now: float) -> float:
    since = now if live.first_absent is None else live.first_absent
    return since + live.fence_seconds + FENCE_MARGIN_SECONDS - now
