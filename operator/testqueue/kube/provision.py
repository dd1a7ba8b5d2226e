"""What a namespace with a TestTarget needs: the runners' service account, bound to the runners' ClusterRole.

A runner gets the rights of that ClusterRole in its own namespace only. The operator may bind this one ClusterRole
and nothing else, so it can't give out more than that.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle
from qgjob.api.constants import RUNNER_ACCOUNT, RUNNER_CLUSTER_ROLE, TEST_TARGETS
from testqueue.core.health import NO_HEALTHY_DEVICE, unfit_pool
from testqueue.core.misfit import misfit
from testqueue.core.model import TargetView
from testqueue.kube.errors import ApiError, Unreachable
from testqueue.kube.paths import collection, item
from testqueue.logs import about
from testqueue.pods import MANAGED_BY_LABEL, MANAGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.model import BatchView, Key
    from testqueue.kube.session import ApiSession, Object

logger = logging.getLogger(__name__)
READY: Final = "Ready"


class Provisioning:
    """Sets a target's namespace up, and says in the target's Ready condition how that went."""

    def __init__(
        self,
        session: ApiSession,
        guard: Callable[[], None],
        last_ended: Callable[[Key], BatchView | None],
    ) -> None:
        """`guard` runs before each write, and raises when this replica does not lead.

        `last_ended` knows the batch of a target that was over last.
        """
        self._session = session
        self._guard = guard
        self._last_ended = last_ended
        self._ready: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    async def serve(self, target: Object) -> None:
        """Bring about what the target's namespace lacks; write the condition where it changes."""
        meta = target["metadata"]
        namespace: str = meta["namespace"]
        try:
            await self._ensure(namespace)
        except ApiError as error:
            logger.warning("setting up: %s", error, extra=about(namespace=namespace, target=meta["name"]))
            condition = _condition(False, "SetupFailed", str(error))
        else:
            condition = self._judge(target)
        await self._write(target, condition)

    def _judge(self, target: Object) -> dict[str, Any]:
        """Its Ready condition, once its namespace is set up."""
        view = TargetView.from_object(target)
        generation = target["metadata"].get("generation")
        edited = (target.get("status") or {}).get("observedGeneration") != generation
        reason, message = misfit(self._last_ended(view.key), _ready(target) or {}, edited=edited)
        if reason:
            return _condition(False, reason, message)
        if unfit := unfit_pool(view):
            return _condition(False, NO_HEALTHY_DEVICE, unfit)
        return _condition(True, "Ready", "")

    async def set_up(self, namespace: str, *, again: bool = False) -> None:
        """The same before a namespace's first pod; `again`: something is missing that was there.

        A failure is only logged: the target's condition and the batch's status tell of what comes of it.
        """
        if again:
            self.doubt(namespace)
        try:
            await self._ensure(namespace)
        except (ApiError, Unreachable) as error:
            logger.warning("setting up: %s", error, extra=about(namespace=namespace))

    def doubt(self, namespace: str) -> None:
        """Something may be missing that was there: bring about again what is, before the next pod."""
        self._ready.discard(namespace)

    async def _ensure(self, namespace: str) -> None:
        async with self._one_at_a_time:
            if namespace not in self._ready:
                await self._create_both(namespace)
                self._ready.add(namespace)

    async def _create_both(self, namespace: str) -> None:
        labels = {MANAGED_BY_LABEL: MANAGER}
        await self._create(
            "serviceaccounts",
            namespace,
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": RUNNER_ACCOUNT, "labels": labels},
            },
        )
        await self._create(
            "rolebindings",
            namespace,
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": RUNNER_ACCOUNT, "labels": labels},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": RUNNER_CLUSTER_ROLE,
                },
                "subjects": [{"kind": "ServiceAccount", "name": RUNNER_ACCOUNT, "namespace": namespace}],
            },
        )

    async def _create(self, plural: str, namespace: str, body: Object) -> None:
        """Create it where it is missing; one that is there already is its owner's affair."""
        try:
            await self._session.create(collection(plural, namespace), body, guard=self._guard)
        except ApiError as error:
            if not error.already_exists:
                raise

    async def _write(self, target: Object, condition: dict[str, Any]) -> None:
        meta, status = target["metadata"], target.get("status") or {}
        old = _ready(target)
        if old is not None and all(old.get(key) == condition[key] for key in ("status", "reason", "message")):
            if status.get("observedGeneration") == meta.get("generation"):
                return
            condition = old
        try:
            await self._session.patch(
                item(TEST_TARGETS, meta["namespace"], meta["name"], "status"),
                {"status": {"conditions": [condition], "observedGeneration": meta.get("generation", 0)}},
                guard=self._guard,
            )
        except ApiError as error:
            if not error.is_not_found:
                raise


def _ready(target: Object) -> Object | None:
    conditions = (target.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == READY), None)


def _condition(ready: bool, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": READY,
        "status": "True" if ready else "False",
        "reason": reason,
        "message": lifecycle.clip(message),
        "lastTransitionTime": lifecycle.timestamp(datetime.now(UTC)),
    }
