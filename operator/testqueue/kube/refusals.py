"""Pods that are never made: a quota, a missing account, an admission webhook.

The Job controller then leaves no condition on the Job, only FailedCreate Events. What they say goes into the
status of the batch and of its TestJobs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from testqueue.core.model import Key
from testqueue.logs import about

if TYPE_CHECKING:
    from testqueue.core.store import Store
    from testqueue.kube.objects import Objects
    from testqueue.kube.session import Object

logger = logging.getLogger(__name__)
FAILED_CREATE: Final = "FailedCreate"


class Refusals:
    """Told of FailedCreate Events; writes each batch's reason once."""

    def __init__(self, objects: Objects, store: Store) -> None:
        self._objects = objects
        self._store = store

    async def tell(self, event: Object) -> None:
        """One Event about a Kubernetes Job; those that are not a batch's are not ours."""
        involved = event.get("involvedObject") or {}
        key = Key(involved.get("namespace", ""), involved.get("name", ""))
        known = self._store.batches.get(key)
        if known is None or known.over or known.pod or known.reason:
            return
        batch = await self._objects.batch(key)
        if batch is None or batch.over or batch.pod or batch.reason or self._store.pods_of(key):
            return
        text = str(event.get("message", ""))
        reason = "QuotaExceeded" if "exceeded quota" in text else "PodRefused"
        message = lifecycle.clip(text)
        logger.warning("no pod: %s", message, extra=about(namespace=key.namespace, batch=key.name))
        await self._objects.change_batch(batch, {"reason": reason, "message": message})
        for job in await self._objects.jobs_of(key):
            if lifecycle.get(job.get("status") or {}, "phase") == lifecycle.SCHEDULED:
                await self._objects.change_job(job, {"reason": reason, "message": message})
