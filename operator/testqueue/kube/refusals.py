"""Pods that are never made: a quota, a missing account, an admission webhook.

The Job controller then leaves no condition on the Job, only FailedCreate Events. What they say goes into the
status of the batch and of its TestJobs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from qgjob.api.constants import RUNNER_ACCOUNT
from testqueue.core.model import Key
from testqueue.kube.explain import explain
from testqueue.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.store import Store
    from testqueue.kube.objects import Objects
    from testqueue.kube.provision import Provisioning
    from testqueue.kube.session import Object

logger = logging.getLogger(__name__)
FAILED_CREATE: Final = "FailedCreate"
#: A missing account that has been made again is nobody's affair; one that is still missing then is.
ACCOUNT_SECONDS: Final = 10.0
_MISSING_ACCOUNT: Final = f'serviceaccount "{RUNNER_ACCOUNT}" not found'


class Refusals:
    """Told of FailedCreate Events; writes each batch's reason once."""

    def __init__(
        self, objects: Objects, store: Store, provisioning: Provisioning, clock: Callable[[], float]
    ) -> None:
        """`clock` tells seconds since the epoch."""
        self._objects = objects
        self._store = store
        self._provisioning = provisioning
        self._clock = clock

    async def tell(self, event: Object) -> None:
        """One Event about a Kubernetes Job; those that are not a batch's are not ours."""
        involved = event.get("involvedObject") or {}
        key = Key(involved.get("namespace", ""), involved.get("name", ""))
        known = self._store.batches.get(key)
        if known is None or known.over or known.pod or self._store.pods_of(key):
            return
        text = str(event.get("message", ""))
        if _MISSING_ACCOUNT in text:
            await self._provisioning.set_up(key.namespace, again=True)
            if self._clock() < known.created + ACCOUNT_SECONDS:
                return  # the Job controller tries again by itself
        if known.reason:
            return
        batch = await self._objects.batch(key)
        if batch is None or batch.over or batch.pod or batch.reason:
            return
        logger.warning("no pod: %s", text, extra=about(namespace=key.namespace, batch=key.name))
        await explain(
            self._objects, batch, "QuotaExceeded" if "exceeded quota" in text else "PodRefused", text
        )
