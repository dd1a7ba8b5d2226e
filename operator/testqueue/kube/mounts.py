"""Pods whose volumes can't be mounted: a Secret that does not exist, a claim that nobody has made.

The kubelet then says nothing in the pod's status, only in FailedMount Events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from testqueue.core.missing import in_words

if TYPE_CHECKING:
    from testqueue.core.model import PodView
    from testqueue.kube.objects import Objects

FAILED_MOUNT: Final = "FailedMount"


async def with_mount_problem(objects: Objects, pod: PodView) -> PodView:
    """The pod, with what the kubelet says of its volumes as its problem. Raises ApiError and Unreachable."""
    events = await objects.events_of(pod, FAILED_MOUNT)
    if not events:
        return pod
    newest = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    reason, message = in_words(FAILED_MOUNT, str(newest.get("message", "")), pod.namespace)
    return replace(pod, problem=reason, message=message)
