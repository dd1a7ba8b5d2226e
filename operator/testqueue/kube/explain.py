"""Saying why a batch does not start, where people look: in its status and in that of its TestJobs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qgjob.api import lifecycle
from testqueue.kube.errors import ApiError
from testqueue.logs import about

if TYPE_CHECKING:
    from testqueue.core.model import BatchView
    from testqueue.kube.objects import Objects

logger = logging.getLogger(__name__)


async def explain(objects: Objects, batch: BatchView, reason: str, message: str) -> None:
    """Write it, unless the batch gives that reason already: each is told once, for each is many writes.

    The batch comes last, so that what was cut short is done again. Raises ApiError and Unreachable.
    """
    if batch.reason == reason:
        return
    text = {"reason": reason, "message": lifecycle.clip(message)}
    for job in await objects.jobs_of(batch.key):
        status = job.get("status") or {}
        if lifecycle.get(status, "phase") != lifecycle.SCHEDULED or status.get("reason") == reason:
            continue
        try:
            await objects.change_job(job, text)
        except ApiError as error:
            if not (error.is_conflict or error.is_not_found):
                raise
            logger.debug(
                "not told why it waits, it has just changed: %s",
                error,
                extra=about(namespace=batch.namespace, testjob=job["metadata"]["name"]),
            )
    await objects.change_batch(batch, text)
