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
from testqueue.core.model import BatchView, JobView, Key
from testqueue.kube.errors import ApiError, Unreachable
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
_RETRY_SECONDS: Final = 60.0
_FINISHED: Final = ("Succeeded", "Cancelled", "DeadLettered")


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
        clock: Callable[[], float],
    ) -> None:
        """TTLs in seconds: for Succeeded and Cancelled TestJobs without one of their own, and for TestBatches."""
        self._session = session
        self._objects = objects
        self._store = store
        self._namespace = namespace
        self._job_ttl = job_ttl
        self._batch_ttl = batch_ttl
        self._clock = clock
        self._jobs: list[tuple[float, Key, str]] = []
        self._wake = asyncio.Event()

    def job_left(self, job: JobView) -> None:
        """A TestJob has ended or was deleted; its view may be of before that."""
        ttl = self._job_ttl if job.ttl is None else job.ttl
        if not job.gitops:
            self._push(self._clock() + ttl, job.key, job.uid)

    async def run(self) -> None:
        """Delete what is due, while this replica leads. Until cancelled."""
        await self._fill()
        while True:
            self._expire_dead_letters()
            try:
                await self._expire_jobs()
                await self._expire_batches()
            except (ApiError, Unreachable) as error:
                logger.warning("clean-up goes on later: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            self._wake.clear()
            now = self._clock()
            pause = min(max(self._jobs[0][0] - now, 0.0), _RETRY_SECONDS) if self._jobs else _RETRY_SECONDS
            try:
                async with asyncio.timeout(min(pause, max(self._batch_ttl, 1.0))):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _fill(self) -> None:
        """Queue what had ended before this replica looked."""
        for phase in _FINISHED:
            async for page in self._session.pages(
                collection(TEST_JOBS, self._namespace), field_selector=f"status.phase={phase}"
            ):
                for obj in page.get("items") or ():
                    job = JobView.from_object(obj)
                    due = self._due(job)
                    if due is not None:
                        self._push(due, job.key, job.uid)
                await asyncio.sleep(0)

    def _due(self, job: JobView) -> float | None:
        """When it may be deleted, if ever."""
        if job.gitops or job.phase not in lifecycle.FINISHED:
            return None
        ttl = job.ttl
        if ttl is None:
            if job.phase not in _SETTING_HOLDS:
                return None
            ttl = self._job_ttl
        return (job.finished or job.queued) + ttl

    def _push(self, due: float, key: Key, uid: str) -> None:
        first = not self._jobs or due < self._jobs[0][0]
        heapq.heappush(self._jobs, (due, key, uid))
        if first:
            self._wake.set()

    def _expire_dead_letters(self) -> None:
        """Dead letters stay in the store; one with a TTL of its own is queued when that has passed."""
        now = self._clock()
        queued = {key for _, key, _ in self._jobs}
        for job in self._store.jobs:
            due = self._due(job)
            if due is not None and due <= now and job.key not in queued:
                self._push(due, job.key, job.uid)

    async def _expire_jobs(self) -> None:
        while self._jobs and self._jobs[0][0] <= self._clock():
            _, key, uid = heapq.heappop(self._jobs)
            obj = await self._objects.job(key)
            if obj is None or obj["metadata"]["uid"] != uid:
                continue
            job = JobView.from_object(obj)
            due = self._due(job)
            if due is None:
                continue
            if due > self._clock():
                self._push(due, key, uid)
                continue
            await self._delete(TEST_JOBS, job)

    async def _expire_batches(self) -> None:
        now = self._clock()
        for batch in self._store.batches:
            ended = batch.finished or batch.created
            if batch.over and now >= ended + self._batch_ttl and not self._store.claimed(batch.key):
                live = await self._objects.jobs_of(batch.key)
                if not any(
                    lifecycle.get(job.get("status") or {}, "phase") in lifecycle.CLAIMED for job in live
                ):
                    await self._delete(TEST_BATCHES, batch)

    async def _delete(self, plural: str, view: JobView | BatchView) -> None:
        context = about(namespace=view.namespace, resource=f"{plural}/{view.name}")
        try:
            await self._objects.delete(plural, view.key, view.uid, view.version)
        except ApiError as error:
            if not error.is_conflict:
                raise
            logger.debug("it changed just now: %s", error, extra=context)
        else:
            logger.info("deleted: past its TTL", extra=context)
