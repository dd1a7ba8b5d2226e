"""The real code's decisions over the model's small objects: qgjob.api.lifecycle and testqueue.core.recovery.

So the model can't drift from what operator and runner do: a change there changes what is searched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import product
from typing import Any, Final

from qgjob.api import lifecycle
from qgjob.api.lifecycle import Result, RetryPolicy
from testqueue.core.model import BatchView, Entry, JobView, KubeJobView, PodView
from testqueue.core.recovery import Live, Repair, decide

from .state import CHANGED, DELETING, ENDED, FRESH, LIVE, NONE, OVERDUE, PODS, Batch, Job

#: Infrastructure failures are not counted here: none ends a TestJob, so a search sees it go on instead.
POLICY: Final = RetryPolicy(backoff_seconds=0, infrastructure_retries=1)

_NOW: Final = 1_000_000.0
_LONG_AGO: Final = 0.0
_MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)

PodsSeen = tuple[tuple[int, str], ...]


@cache
def claimed(job: Job, batch: int) -> Job:
    """The TestJob after its claim for that batch."""
    return _after(job, lifecycle.claim(_status(job), _name("batch", batch), 0))


@cache
def started(job: Job, pod: int) -> Job:
    """The TestJob after that pod has begun it."""
    return _after(job, lifecycle.start(_status(job), _name("pod", pod), _MOMENT))


@cache
def finished(job: Job, outcome: str, max_retries: int) -> Job:
    """The TestJob after one attempt came to that outcome."""
    result = Result(outcome)  # type: ignore[arg-type]
    return _after(job, lifecycle.finish(_status(job), result, POLICY, max_retries, _MOMENT))


@cache
def given_back(job: Job) -> Job:
    """The TestJob back in the line at no cost."""
    return _after(job, lifecycle.give_back(_status(job)))


@cache
def holds_for(job: Job, believed: Job) -> bool:
    """Whether a runner's patch that was made for `believed` is taken while the TestJob is `job`."""
    status = _status(job)
    tests = [step for step in lifecycle.json_patch(_status(believed), {}) if step["op"] == "test"]
    return all(
        lifecycle.get(status, step["path"].removeprefix("/status/")) == step["value"] for step in tests
    )


@cache
def repair(
    number: int,
    batch: Batch | None,
    jobs: tuple[Job, ...],
    pods: PodsSeen,
    kube_job: str,
    absent: str,
) -> Repair:
    """What the operator does about a batch, of which it has read this. `batch` None: there is none."""
    since = _LONG_AGO if batch is not None and batch.late else _NOW - 1
    view = batch and BatchView(
        **_meta("batch", number),
        app_version_id="1",
        target="target",
        device="device",
        address="address",
        trial=False,
        yields=False,
        turn=None,
        costs=(),
        fence_seconds=60,
        entries=tuple(Entry(_name("job", job), "", attempt) for job, attempt in batch.entries),
        created=since,
        phase=batch.phase,
        pod=_name("pod", batch.owner),
        pod_name=_name("pod", batch.owner),
        open=not batch.over,
        started=None,
        finished=None,
        install_seconds=None,
        passed=0,
        failed=0,
        infrastructure=0,
        tests=(),
        reason="",
        message="",
    )
    kube = KubeJobView(**_meta("batch", number), created=since, ended=kube_job == "ended", message="")
    live = Live(
        batch=view,
        jobs=tuple(_job_view(place, job) for place, job in enumerate(jobs) if job.batch == number),
        pods=tuple(_pod_view(place, number, state) for place, state in pods),
        kube_job=kube if kube_job else None,
        first_absent={"": None, "missed": _NOW, "waited": _LONG_AGO}[absent],
        fence_seconds=60,
        start_seconds=300,
        batch_seconds=7500,
    )
    return decide(live, _NOW)


@cache
def is_well(number: int, batch: Batch | None, jobs: int, pods: PodsSeen, kube_job: str, absent: str) -> bool:
    """Whether nothing is to be done about the batch, whatever its TestJobs say."""
    other = Job(FRESH, lifecycle.PENDING, NONE, NONE, 1, 0)
    scheduled = Job(FRESH, lifecycle.SCHEDULED, number, NONE, 1, 0)
    running = [
        Job(FRESH, lifecycle.RUNNING, number, pod, 1, 0) for pod in range(number * PODS, number * PODS + PODS)
    ]
    for statuses in product([other, scheduled, *running], repeat=jobs):
        found = repair(number, batch, statuses, pods, kube_job, absent)
        if found.delete_job or found.release or found.end or found.absent or found.gone:
            return False
    return True


def number_of(name: str) -> int:
    """The number in a name of one of the model's objects."""
    return int(name.rsplit("-", 1)[1]) if name else NONE


def _status(job: Job) -> dict[str, Any]:
    return {
        "phase": job.phase,
        "batch": _name("batch", job.batch),
        "pod": _name("pod", job.pod),
        "attempt": job.attempt,
        "failures": job.failures,
    }


def _after(job: Job, changes: lifecycle.Changes) -> Job:
    status = lifecycle.apply(_status(job), changes)
    # Who ran it last is for people; nothing is decided by it once the claim is over.
    mine = status["phase"] in lifecycle.CLAIMED
    return Job(
        version=CHANGED,
        phase=status["phase"],
        batch=number_of(status["batch"]) if mine else NONE,
        pod=number_of(status["pod"]) if mine else NONE,
        attempt=status["attempt"],
        failures=status["failures"],
    )


def _job_view(number: int, job: Job) -> JobView:
    return JobView(
        **_meta("job", number),
        org="org",
        app_version_id="1",
        target="target",
        test="test",
        priority=5,
        cancel=False,
        replays=0,
        ttl=None,
        gitops=False,
        phase=job.phase,
        batch=_name("batch", job.batch),
        pod=_name("pod", job.pod),
        attempt=job.attempt,
        observed_replays=0,
        reason="",
        message="",
        queued=0.0,
        due=0.0,
        finished=None,
    )


def _pod_view(number: int, batch: int, state: str) -> PodView:
    deleted = {LIVE: None, ENDED: None, DELETING: _NOW, OVERDUE: _LONG_AGO}[state]
    return PodView(
        **(_meta("pod", number) | {"uid": _name("pod", number)}),
        batch=_name("batch", batch),
        phase="Failed" if state == ENDED else "Running",
        terminated=state == ENDED,
        evicted=False,
        deleted=deleted,
        mounting=False,
        problem="",
        message="",
    )


def _meta(kind: str, number: int) -> dict[str, Any]:
    return {"namespace": "", "name": _name(kind, number), "uid": "", "version": 0}


def _name(kind: str, number: int) -> str:
    return "" if number == NONE else f"{kind}-{number}"
