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
    from collections.abc import Awaitable, Callable, Coroutine

    from testqueue.kube.credentials import Credentials
    from testqueue.kube.provision import Provisioning
    from testqueue.kube.refusals import Refusals

logger = logging.getLogger(__name__)
#: How often kopf watches anew.
WATCH_SECONDS = 300


def build_registry(
    credentials: Credentials,
    provisioning: Provisioning,
    refusals: Refusals,
    *,
    in_main_loop: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """All handlers, bound to what they call; `in_main_loop` runs that where the operator's session lives."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return credentials.current(renew=True)

    @kopf.on.event(GROUP, VERSION, TEST_TARGETS, registry=registry)
    async def target_seen(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 (kopf's name)
        if type != "DELETED":
            await in_main_loop(_if_leading(provisioning.serve(dict(body))))

    @kopf.on.event("", "v1", "events", registry=registry)
    async def pod_refused(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 (kopf's name)
        if type != "DELETED" and body.get("reason") == FAILED_CREATE:
            await in_main_loop(_if_leading(refusals.tell(dict(body))))

    return registry


def build_settings() -> kopf.OperatorSettings:
    """Settings that keep kopf from writing, and from being louder than we are."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30
    # A cluster has thousands of other Events.
    settings.watching.field_selectors["events"] = f"involvedObject.kind=Job,reason={FAILED_CREATE}"
    settings.scanning.disabled = True
    # The process ends itself in time, and kills nothing.
    settings.process.ultimate_exiting_timeout = None
    return settings


async def _if_leading(work: Awaitable[None]) -> None:
    try:
        await work
    except NotLeaderError:
        pass  # the leader sees the same event
    except (ApiError, Unreachable) as error:
        logger.warning("%s", error)
