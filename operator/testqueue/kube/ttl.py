"""Deletes TestJobs and TestBatches that ended long enough ago.

The reflector does not see finished TestJobs, so each is put into a queue when it leaves the reflector's view, and
all of them once when this replica begins to lead. What is in the queue is only a hint: the object is read live
before it is deleted, with its uid and resourceVersion as preconditions.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from testqueue.core.model import BatchView, JobView, Key, LastRun
from testqueue.kube.errors import ApiError, NotLeaderError, Unreachable
from testqueue.kube.paths import collection
from testqueue.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.store import Store
    from testqueue.kube.objects import Objects
    from testqueue.kube.session import ApiSession

logger = logging.getLogger(__name__)
#: Phases of a TestJob that the operator's own TTL holds for; dead letters stay unless their spec says otherwise.
_SETTING_HOLDS: Final = frozenset({lifecycle.SUCCEEDED, lifecycle.CANCELLED})
#: What could not be deleted, or not even looked at, is tried again so much later.
RETRY_SECONDS: Final = 60.0
#: Between two looks over the store's dead letters and batches.
SWEEP_SECONDS: Final = 10.0
#: TestJobs that are deleted side by side: fast enough for any queue, and no burst for the API server.
_AT_ONCE: Final = 8


class Expiry:
    """The queue of what is to be deleted, by time (seconds since the epoch)."""

    def __init__(
        self,
        session: ApiSession,
        objects: Objects,
        store: Store,
        *,
        namespace: str,
        job_ttl: float,
        batch_ttl: float,
        on_ended: Callable[[LastRun], None] = lambda _: None,
        clock: Callable[[], float],
    ) -> None:
        """TTLs in seconds: for Succeeded and Cancelled TestJobs without one of their own, and for TestBatches.

        `on_ended` is told of the TestJobs that had ended before this replica led.
        """
        self._session = session
        self._objects = objects
        self._store = store
        self._namespace = namespace
        self._job_ttl = job_ttl
        self._batch_ttl = batch_ttl
        self._on_ended = on_ended
        self._clock = clock
        self._queue: list[tuple[float, Key, str]] = []
        self._queued: set[str] = set()
        self._leading = False
        self._wake = asyncio.Event()
        self._fill_wanted = asyncio.Event()

    def job_left(self, job: JobView) -> None:
        """A TestJob has ended or was deleted; its view may be of before that."""
        # A standby keeps no queue: nobody would empty it, and all is listed when it begins to lead.
        if self._leading and not job.gitops:
            self._push(self._clock() + self._ttl(job), job.key, job.uid)

    def jobs_listed(self) -> None:
        """The TestJobs were listed anew: some may have ended while nobody watched."""
        self._fill_wanted.set()

    async def run(self) -> None:
        """Delete what is due, while this replica leads. Until cancelled."""
        self._leading = True
        self._fill_wanted.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_filled(), name="fill the TTL queue")
                tasks.create_task(self._keep_emptying(), name="empty the TTL queue")
                tasks.create_task(self._keep_sweeping(), name="sweep")
        except* NotLeaderError:
            logger.debug("no clean-up: not leading any more")

    async def _keep_filled(self) -> None:
        """Queue what had ended before this replica looked."""
        while True:
            await self._fill_wanted.wait()
            self._fill_wanted.clear()
            try:
                for phase in lifecycle.FINISHED - {lifecycle.DEAD_LETTERED}:  # those are in the store
                    await self._fill(phase)
            except (ApiError, Unreachable) as error:
                logger.warning("looking for finished TestJobs goes on later: %s", error)
                self._fill_wanted.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _fill(self, phase: str) -> None:
        path = collection(TEST_JOBS, self._namespace)
        async for page in self._session.pages(path, field_selector=f"status.phase={phase}"):
            for obj in page.get("items") or ():
                job = JobView.from_object(obj)
                due = self._due(job)
                if due is not None:
                    self._push(due, job.key, job.uid)
                if (run := LastRun.from_object(obj)) is not None:
                    self._on_ended(run)
            await asyncio.sleep(0)

    async def _keep_emptying(self) -> None:
        while True:
            due: list[tuple[float, Key, str]] = []
            while self._queue and self._queue[0][0] <= self._clock() and len(due) < _AT_ONCE:
                due.append(heapq.heappop(self._queue))
            if due:
                await asyncio.gather(*(self._expire_job(key, uid) for _, key, uid in due))
                continue
            self._wake.clear()
            try:
                pause = self._queue[0][0] - self._clock() if self._queue else RETRY_SECONDS
                async with asyncio.timeout(max(pause, 0.0)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _expire_job(self, key: Key, uid: str) -> None:
        self._queued.discard(uid)
        try:
            obj = await self._objects.job(key)
            if obj is None or obj["metadata"]["uid"] != uid:
                return
            job = JobView.from_object(obj)
            due = self._due(job)
            if due is None:
                return
            if due > self._clock():
                self._push(due, key, uid)
            elif not await self._delete(TEST_JOBS, job):
                self._push(self._clock() + RETRY_SECONDS, key, uid)
        except (ApiError, Unreachable) as error:
            logger.warning(
                "not deleted yet: %s", error, extra=about(namespace=key.namespace, testjob=key.name)
            )
            self._push(self._clock() + RETRY_SECONDS, key, uid)

    async def _keep_sweeping(self) -> None:
        """Look over what the store has: dead letters with a TTL of their own, and batches that are over."""
        while True:
            now = self._clock()
            for job in self._store.jobs:
                due = self._due(job)
                if due is not None and due <= now:
                    self._push(due, job.key, job.uid)
            for batch in self._store.batches:
                if (
                    batch.over
                    and now >= (batch.finished or batch.created) + self._batch_ttl
                    and not self._store.claimed(batch.key)
                ):
                    await self._expire_batch(batch)
            await asyncio.sleep(min(SWEEP_SECONDS, max(self._batch_ttl, 1.0)))

    async def _expire_batch(self, batch: BatchView) -> None:
        try:
            for job in await self._objects.jobs_of(batch.key):
                if lifecycle.get(job.get("status") or {}, "phase") in lifecycle.CLAIMED:
                    return
            await self._delete(TEST_BATCHES, batch)
        except (ApiError, Unreachable) as error:
            logger.warning(
                "not deleted yet: %s", error, extra=about(namespace=batch.namespace, batch=batch.name)
            )

    def _due(self, job: JobView) -> float | None:
        """When it may be deleted, if ever."""
        if job.gitops or job.phase not in lifecycle.FINISHED:
            return None
        if job.ttl is None and job.phase not in _SETTING_HOLDS:
            return None
        return (job.finished or job.queued) + self._ttl(job)

    def _ttl(self, job: JobView) -> float:
        return self._job_ttl if job.ttl is None else job.ttl

    def _push(self, due: float, key: Key, uid: str) -> None:
        if uid in self._queued:
            return  # an edit of its TTL is seen when it is due by the old one
        self._queued.add(uid)
        heapq.heappush(self._queue, (due, key, uid))
        if self._queue[0][2] == uid:
            self._wake.set()

    async def _delete(self, plural: str, view: JobView | BatchView) -> bool:
        context = about(namespace=view.namespace, resource=f"{plural}/{view.name}")
        try:
            await self._objects.delete(plural, view.key, view.uid, view.version)
        except ApiError as error:
            if not error.is_conflict:
                raise
            logger.debug("it changed just now: %s", error, extra=context)
            return False
        logger.info("deleted: past its TTL", extra=context)
        return True
