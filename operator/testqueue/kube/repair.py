"""Live looks at odd batches, and the repairs that the core decides on."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle
from qgjob.api.lifecycle import Result, RetryPolicy
from testqueue.core.model import JobView, Key
from testqueue.core.nominate import ORPHAN_START_SECONDS
from testqueue.core.recovery import FENCE_MARGIN_SECONDS, Absences, Live, Release, ReleaseJob, Repair, decide
from testqueue.kube.errors import ApiError
from testqueue.kube.explain import explain
from testqueue.kube.mounts import with_mount_problem
from testqueue.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testqueue.core.model import BatchView, TargetView
    from testqueue.core.plan import Planner
    from testqueue.core.store import Store
    from testqueue.kube.objects import Objects
    from testqueue.kube.session import Object

logger = logging.getLogger(__name__)
#: For a batch whose target was deleted: TestTarget.spec.timeouts' defaults.
_FENCE_SECONDS: Final = 60.0
_BATCH_SECONDS: Final = 7500.0


class Repairs:
    """Looks at one batch at a time, live, and does what core.recovery says."""

    def __init__(
        self,
        objects: Objects,
        store: Store,
        planner: Planner,
        clock: Callable[[], float],
        *,
        on_no_start: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`clock` tells seconds since the epoch; `on_no_start`, a namespace where a pod ended without its batch."""
        self._objects = objects
        self._store = store
        self._planner = planner
        self._clock = clock
        self._on_no_start = on_no_start
        self._absences = Absences()

    async def check(self, key: Key, why: str) -> None:
        """One live look. Conflicts mean that something moved: the next look sees it."""
        batch = await self._objects.batch(key)
        # The TestJobs come last: what a runner has written by the time its pod is seen ended is then in them.
        pods, kube_job = await asyncio.gather(self._objects.pods_of(key), self._objects.kube_job(key))
        pods = [await with_mount_problem(self._objects, pod) if pod.mounting else pod for pod in pods]
        jobs = {job["metadata"]["name"]: job for job in await self._objects.jobs_of(key)}
        target = self._target(key, batch, jobs)
        now = self._clock()
        live = Live(
            batch=batch,
            jobs=tuple(JobView.from_object(job) for job in jobs.values()),
            pods=tuple(pods),
            kube_job=kube_job,
            first_absent=self._absences.since(key, batch),
            fence_seconds=_fence_seconds(batch, target),
            start_seconds=target.start_seconds if target else ORPHAN_START_SECONDS,
            batch_seconds=target.batch_seconds if target else _BATCH_SECONDS,
        )
        repair = decide(live, now)
        self._absences.note(key, batch, repair, now)
        if repair.gone:
            self._planner.mark_gone(key)
        self._planner.check_again(key, now + min(repair.again, FENCE_MARGIN_SECONDS))
        policy = target.retry if target else RetryPolicy()
        context = about(namespace=key.namespace, batch=key.name)
        if repair.end or repair.release:
            logger.info(
                "repairing: %s (%d released%s)",
                why,
                len(repair.release),
                f", {repair.end[0]}" if repair.end else "",
                extra=context,
            )
        try:
            await self._carry_out(repair, batch, jobs, policy, live)
        except ApiError as error:
            if not error.is_conflict:
                raise
            logger.debug("the repair met another change: %s", error, extra=context)

    async def _carry_out(
        self,
        repair: Repair,
        batch: BatchView | None,
        jobs: dict[str, Object],
        policy: RetryPolicy,
        live: Live,
    ) -> None:
        if repair.delete_job and live.kube_job is not None:
            await self._objects.delete("jobs", live.kube_job.key, live.kube_job.uid)
        await asyncio.gather(*(self._release(each, jobs[each.job.name], policy) for each in repair.release))
        if batch is not None and repair.explain is not None:
            await explain(self._objects, batch, *repair.explain)
        if batch is not None and repair.end is not None:
            if not batch.pod:
                # It may have been refused by the API server: its rights may have been taken away.
                self._on_no_start(batch.namespace)
            await self._end(batch, jobs, repair)

    async def _release(self, step: ReleaseJob, job: Object, policy: RetryPolicy) -> None:
        changes = _release_changes(step.how, step, job, policy, self._clock())
        try:
            await self._objects.change_job(job, changes)
        except ApiError as error:
            if not (error.is_conflict or error.is_not_found):
                raise

    async def _end(self, batch: BatchView, jobs: dict[str, Object], repair: Repair) -> None:
        reason, message = repair.end or ("", "")
        status: dict[str, Any] = {
            "phase": "Failed",
            "open": False,
            "finishTime": lifecycle.timestamp(_moment(self._clock())),
            "reason": reason,
            "message": lifecycle.clip(message),
            **_counts(batch.name, jobs.values(), repair),
        }
        await self._objects.change_batch(batch, status)

    def _target(self, key: Key, batch: BatchView | None, jobs: dict[str, Object]) -> TargetView | None:
        if batch is not None:
            return self._store.targets.get(Key(key.namespace, batch.target))
        for job in jobs.values():
            return self._store.targets.get(Key(key.namespace, job["spec"]["target"]))
        leases = ((target, lease) for target in self._store.targets for lease in target.leases)
        return next(
            (target for target, lease in leases if Key(target.namespace, lease.batch) == key),
            None,
        )


def _fence_seconds(batch: BatchView | None, target: TargetView | None) -> float:
    """What the batch's runner was told, whatever the target says by now."""
    if batch is not None and batch.fence_seconds is not None:
        return batch.fence_seconds
    return target.fence_seconds if target else _FENCE_SECONDS


def _counts(batch: str, jobs: Iterable[Object], repair: Repair) -> dict[str, Any]:
    """What became of the batch's TestJobs: their attempts in it, and what this repair adds."""
    attempts = [
        (job, attempt)
        for job in jobs
        for attempt in (job.get("status") or {}).get("attempts") or ()
        if attempt.get("batch") == batch
    ]
    by_outcome = Counter(attempt["outcome"] for _, attempt in attempts)
    charged = sum(step.how == "charge" for step in repair.release)
    return {
        "total": len(attempts) + charged,
        "passed": by_outcome["passed"],
        "failed": by_outcome["failed"],
        "infrastructure": by_outcome["infrastructure"] + charged,
        "givenBack": len(repair.release) - charged,
        "tests": [
            {
                "name": job["metadata"]["name"],
                "test": job["spec"]["test"],
                "outcome": attempt["outcome"],
                "seconds": lifecycle.seconds_between(attempt.get("startTime"), attempt.get("finishTime"))
                or 0.0,
            }
            for job, attempt in attempts
        ],
    }


def _release_changes(
    how: Release, step: ReleaseJob, job: Object, policy: RetryPolicy, now: float
) -> lifecycle.Changes:
    status, spec, moment = job.get("status") or {}, job["spec"], _moment(now)
    if spec.get("cancel", False):
        return lifecycle.cancel(status, moment)
    if how == "give_back":
        return lifecycle.give_back(status)
    result = Result("infrastructure", message=step.message, reason=step.reason)
    return lifecycle.finish(status, result, policy, spec.get("maxRetries", 3), moment)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
