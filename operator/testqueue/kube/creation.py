"""How a batch comes to be: TestBatch, claims, Kubernetes Job. A crash after any step leaves something to go on from.

An answer that was lost is not repeated blindly: what is there now is read first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import API_VERSION, TEST_BATCHES
from testqueue.core.model import Entry, JobView, Key
from testqueue.kube.errors import ApiError, Unreachable
from testqueue.kube.explain import explain
from testqueue.logs import about
from testqueue.pods import PodTemplateError, build_job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from testqueue.core.actions import CreateBatch
    from testqueue.core.model import BatchView, TargetView
    from testqueue.core.store import Store
    from testqueue.kube.objects import Objects
    from testqueue.kube.session import Object
    from testqueue.pods import Images

logger = logging.getLogger(__name__)


class BatchCreation:
    """Makes batches, and goes on with those whose making was cut short."""

    def __init__(
        self,
        objects: Objects,
        store: Store,
        images: Images,
        *,
        set_up: Callable[[str], Awaitable[None]],
        on_gone: Callable[[Key], None],
    ) -> None:
        """`set_up` sees to what pods need in a namespace; `on_gone` is told of batches that were deleted unused."""
        self._objects = objects
        self._store = store
        self._images = images
        self._set_up = set_up
        self._on_gone = on_gone

    async def create(self, action: CreateBatch) -> list[JobView]:
        """Make a batch; return the TestJobs that it got, as they were while they waited."""
        batch = await self._create_batch(action)
        won = await self._claim_all(batch, {job.name: job for job in action.jobs})
        if won:
            await self._start(batch, action.target)
        else:
            await self._discard(batch)
        return [job for job in action.jobs if job.name in won]

    async def resume(self, nominated: BatchView) -> None:
        """Go on with a batch that has no Kubernetes Job: from what is there now, not from the cache."""
        batch = await self._objects.batch(nominated.key)
        if batch is None or batch.over or batch.pod or batch.uid != nominated.uid:
            return
        if await self._objects.kube_job(batch.key) is not None:
            return
        target = self._store.targets.get(Key(batch.namespace, batch.target))
        won = await self._claim_all(batch, {}) if target is not None else set()
        if not won and not await self._claims(batch):
            await self._discard(batch)
        elif target is not None:
            logger.info("going on with a batch that had no Job", extra=_about(batch))
            await self._start(batch, target)
        # Without its target it can't start; it ends at the start timeout.

    async def _create_batch(self, action: CreateBatch) -> BatchView:
        try:
            return await self._objects.create_batch(action.namespace, _manifest(action))
        except (ApiError, Unreachable) as error:
            if not error.is_ambiguous:
                raise
            # Nobody else chooses the same name, so one that is there is ours.
            batch = await self._objects.batch(Key(action.namespace, action.name))
            if batch is None:
                raise
            return batch

    async def _claim_all(self, batch: BatchView, cached: dict[str, JobView]) -> set[str]:
        """Claim what the batch names and is still free; return the names of what it has now."""
        answers = await asyncio.gather(
            *(self._claim(batch, entry, cached.get(entry.name)) for entry in batch.entries),
            return_exceptions=True,
        )
        won = set()
        for entry, answer in zip(batch.entries, answers, strict=True):
            if isinstance(answer, (ApiError, Unreachable)):
                # The others need not wait for it: a check of the batch finds it later, claimed or not.
                logger.warning("a claim failed: %s", answer, extra=_about(batch, entry.name))
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                won.add(entry.name)
        return won

    async def _claim(self, batch: BatchView, entry: Entry, cached: JobView | None) -> bool:
        if cached is None:
            return await self._claim_live(batch, entry)
        changes = lifecycle.claim(_phase_and_attempt(cached), batch.name, cached.replays)
        try:
            await self._objects.change_viewed_job(cached, changes)
        except (ApiError, Unreachable) as error:
            if not (error.is_ambiguous or _met_change(error)):
                raise
            logger.debug("a claim is looked at again: %s", error, extra=_about(batch, entry.name))
            return await self._claim_live(batch, entry)
        return True

    async def _claim_live(self, batch: BatchView, entry: Entry) -> bool:
        job = await self._objects.job(Key(batch.namespace, entry.name))
        if job is None:
            return False
        if _is_mine(job, entry, batch.name):
            return True
        if not _is_free(job, entry):
            return False
        replays = job["spec"].get("replays", 0)
        try:
            await self._objects.change_job(job, lifecycle.claim(job.get("status") or {}, batch.name, replays))
        except ApiError as error:
            if not _met_change(error):
                raise
            return False  # changing just now: left for the next batch
        return True

    async def _start(self, batch: BatchView, target: TargetView) -> None:
        try:
            body = build_job(
                namespace=batch.namespace,
                batch=batch.name,
                batch_uid=batch.uid,
                target=batch.target,
                target_spec=target.spec,
                images=self._images,
            )
        except PodTemplateError as error:
            # As one that the API server refuses: an edit of the target mends it until the start timeout.
            logger.warning("no Job can be made: %s", error, extra=_about(batch))
            await explain(self._objects, batch, "JobInvalid", str(error))
            return
        await self._set_up(batch.namespace)
        try:
            try:
                await self._objects.create_kube_job(batch.namespace, body)
            except Unreachable as error:
                if not error.is_ambiguous:
                    raise
                await self._objects.create_kube_job(batch.namespace, body)  # or it is there already
        except ApiError as error:
            if error.status in {404, 409}:
                raise
            # It is tried again until the start timeout; meanwhile the status says why it does not start.
            logger.warning("the Job was refused: %s", error, extra=_about(batch))
            reason = "JobInvalid" if error.status in {400, 422} else "JobRefused"
            await explain(self._objects, batch, reason, str(error))

    async def _discard(self, batch: BatchView) -> None:
        """Delete a batch that got no TestJob, unless it turns out to be used after all."""
        if await self._objects.kube_job(batch.key) is not None or await self._claims(batch):
            return
        logger.info("deleting a batch that got no TestJob", extra=_about(batch))
        await self._objects.delete(TEST_BATCHES, batch.key, batch.uid, batch.version)
        self._on_gone(batch.key)

    async def _claims(self, batch: BatchView) -> bool:
        return any(
            lifecycle.get(job.get("status") or {}, "phase") in lifecycle.CLAIMED
            for job in await self._objects.jobs_of(batch.key)
        )


def _manifest(action: CreateBatch) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "TestBatch",
        "metadata": {"name": action.name, "namespace": action.namespace},
        "spec": action.spec(),
    }


def _phase_and_attempt(job: JobView) -> dict[str, Any]:
    return {"phase": job.phase, "attempt": job.attempt}


def _met_change(error: ApiError | Unreachable) -> bool:
    return isinstance(error, ApiError) and (error.is_conflict or error.is_not_found)


def _is_mine(job: Object, entry: Entry, batch: str) -> bool:
    """Whether the batch has the TestJob already: an answer was lost, or another replica was quicker."""
    status = job.get("status") or {}
    return (
        job["metadata"]["uid"] == entry.uid
        and lifecycle.get(status, "batch") == batch
        and lifecycle.get(status, "attempt") == entry.attempt
        and lifecycle.get(status, "phase") in lifecycle.CLAIMED
    )


def _is_free(job: Object, entry: Entry) -> bool:
    """Whether it is the TestJob that the batch means, and may still be claimed as the attempt that it names."""
    status = job.get("status") or {}
    return (
        job["metadata"]["uid"] == entry.uid
        and lifecycle.get(status, "phase") in lifecycle.WAITING
        and lifecycle.get(status, "attempt") + 1 == entry.attempt
        and not job["spec"].get("cancel", False)
    )


def _about(batch: BatchView, testjob: str | None = None) -> dict[str, Any]:
    return about(namespace=batch.namespace, batch=batch.name, target=batch.target, testjob=testjob)
