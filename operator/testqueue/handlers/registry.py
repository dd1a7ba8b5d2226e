"""The kopf handlers: log-in, settings, and the events of the few objects.

Only `on.event` handlers: they read. Any other kind would have kopf write annotations or finalizers, which costs
API writes and leaves objects behind that can't be deleted while the operator is away. TestJobs, of which there may
be 100,000, are not kopf's affair at all, see kube/reflector.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import kopf

from qgjob.api.constants import GROUP, TEST_TARGETS, VERSION
from testqueue.kube.errors import ApiError, NotLeaderError, Unreachable
from testqueue.kube.refusals import FAILED_CREATE

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from testqueue.kube.credentials import Credentials
    from testqueue.kube.provision import Provisioning
    from testqueue.kube.refusals import Refusals

logger = logging.getLogger(__name__)
#: How often kopf lists and watches anew; what it missed in between is then seen.
WATCH_SECONDS = 300


def build_registry(
    credentials: Credentials, provisioning: Provisioning, refusals: Refusals
) -> kopf.OperatorRegistry:
    """All handlers, bound to what they call."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return credentials.current(renew=True)

    @kopf.on.event(GROUP, VERSION, TEST_TARGETS, registry=registry)
    async def target_seen(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 (kopf's name)
        if type != "DELETED":
            await _if_leading(provisioning.serve(dict(body)))

    @kopf.on.event("", "v1", "events", field="reason", value=FAILED_CREATE, registry=registry)
    async def pod_refused(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 (kopf's name)
        if type != "DELETED" and body.get("involvedObject", {}).get("kind") == "Job":
            await _if_leading(refusals.tell(dict(body)))

    return registry


def build_settings() -> kopf.OperatorSettings:
    """Settings that keep kopf from writing, and from being louder than we are."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30
    settings.scanning.disabled = True
    return settings


async def _if_leading(work: Awaitable[None]) -> None:
    try:
        await work
    except NotLeaderError:
        pass  # the leader sees the same event
    except (ApiError, Unreachable) as error:
        logger.warning("%s", error)
