"""How a batch comes to be: TestBatch, claims, Kubernetes Job. A crash after any step leaves something to go on from."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import API_VERSION, TEST_BATCHES
from testqueue.core.model import Entry, JobView, Key
from testqueue.kube.errors import ApiError
from testqueue.logs import about
from testqueue.pods import build_job

if TYPE_CHECKING:
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
        self, objects: Objects, store: Store, images: Images, concurrency: asyncio.Semaphore
    ) -> None:
        self._objects = objects
        self._store = store
        self._images = images
        self._concurrency = concurrency

    async def create(self, action: CreateBatch) -> list[JobView]:
        """Make a batch; return the TestJobs that it got, as they were while they waited."""
        batch = await self._objects.create_batch(action.namespace, _manifest(action))
        won = await self._claim_all(batch, {job.name: job for job in action.jobs})
        await self._start(batch, action.target, claimed=bool(won))
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
        mine = {
            job["metadata"]["name"]
            for job in await self._objects.jobs_of(batch.key)
            if lifecycle.get(job.get("status") or {}, "phase") in lifecycle.CLAIMED
        }
        if target is None and mine:
            return  # without its target it can't start; it ends at the start timeout
        logger.info("going on with a batch that had no Job", extra=_about(batch))
        await self._start(batch, target, claimed=bool(won | mine))

    async def _claim_all(self, batch: BatchView, cached: dict[str, JobView]) -> set[str]:
        """Claim what the batch names and is still free; return the names."""
        answers = await asyncio.gather(
            *(self._claim(batch, entry, cached.get(entry.name)) for entry in batch.entries)
        )
        return {entry.name for entry, won in zip(batch.entries, answers, strict=True) if won}

    async def _claim(self, batch: BatchView, entry: Entry, cached: JobView | None) -> bool:
        async with self._concurrency:
            if cached is not None:
                changes = lifecycle.claim(_phase_and_attempt(cached), batch.name, cached.replays)
                try:
                    await self._objects.change_viewed_job(cached, changes)
                except ApiError as error:
                    if not (error.is_conflict or error.is_not_found):
                        raise
                    logger.debug("a claim met another change: %s", error, extra=_about(batch, entry.name))
                else:
                    return True
            return await self._claim_live(batch, entry)

    async def _claim_live(self, batch: BatchView, entry: Entry) -> bool:
        job = await self._objects.job(Key(batch.namespace, entry.name))
        if job is None or not _is_free(job, entry):
            return False
        replays = job["spec"].get("replays", 0)
        try:
            await self._objects.change_job(job, lifecycle.claim(job.get("status") or {}, batch.name, replays))
        except ApiError as error:
            if error.is_conflict or error.is_not_found:
                return False  # changing just now: left for the next batch
            raise
        return True

    async def _start(self, batch: BatchView, target: TargetView | None, *, claimed: bool) -> None:
        if not claimed or target is None:
            logger.info("deleting a batch that got no TestJob", extra=_about(batch))
            await self._objects.delete(TEST_BATCHES, batch.key, batch.uid, batch.version)
            return
        body = build_job(
            namespace=batch.namespace,
            batch=batch.name,
            batch_uid=batch.uid,
            target=batch.target,
            target_spec=target.spec,
            images=self._images,
        )
        try:
            await self._objects.create_kube_job(batch.namespace, body)
        except ApiError as error:
            if error.status not in {403, 422, 400}:
                raise
            # It will be tried again until the start timeout; meanwhile the batch says why it does not start.
            reason = "PodTemplateInvalid" if error.status != 403 else "JobRefused"
            message = lifecycle.clip(str(error))
            if (batch.reason, batch.message) != (reason, message):
                await self._objects.change_batch(batch, {"reason": reason, "message": message})
            logger.warning("the Job was refused: %s", error, extra=_about(batch))


def _manifest(action: CreateBatch) -> Object:
    spec: dict[str, Any] = {
        "appVersionId": action.app_version_id,
        "target": action.target.name,
        "priority": action.priority,
        "jobs": [{"name": job.name, "uid": job.uid, "attempt": job.attempt + 1} for job in action.jobs],
    }
    if action.device is not None:
        spec["device"] = {"name": action.device.name, "address": action.device.address}
    return {
        "apiVersion": API_VERSION,
        "kind": "TestBatch",
        "metadata": {"name": action.name, "namespace": action.namespace},
        "spec": spec,
    }


def _phase_and_attempt(job: JobView) -> dict[str, Any]:
    return {"phase": job.phase, "attempt": job.attempt}


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
