"""Pods whose volumes can't be mounted: a Secret that does not exist, a claim that nobody has made.

The kubelet then says nothing in the pod's status, only in FailedMount Events.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testqueue.core.model import PodView
    from testqueue.kube.objects import Objects

FAILED_MOUNT: Final = "FailedMount"
_MISSING: Final = re.compile(r'(secret|configmap|persistentvolumeclaim) "([^"]+)" not found', re.IGNORECASE)
_KINDS: Final = {
    "secret": ("SecretNotFound", "Secret"),
    "configmap": ("ConfigMapNotFound", "ConfigMap"),
    "persistentvolumeclaim": ("ClaimNotFound", "PersistentVolumeClaim"),
}


async def with_mount_problem(objects: Objects, pod: PodView) -> PodView:
    """The pod, with what the kubelet says of its volumes as its problem. Raises ApiError and Unreachable."""
    events = await objects.events_of(pod, FAILED_MOUNT)
    if not events:
        return pod
    newest = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    reason, message = in_words(str(newest.get("message", "")), pod.namespace)
    return replace(pod, problem=reason, message=message)


def in_words(said: str, namespace: str) -> tuple[str, str]:
    """A CamelCase reason and a message on what to do, from what the kubelet says. Pure."""
    missing = _MISSING.search(said)
    if missing is None:
        return FAILED_MOUNT, said
    reason, kind = _KINDS[missing[1].lower()]
    return reason, (
        f"there is no {kind} {missing[2]} in namespace {namespace}, which the TestTarget names: "
        "create it, and the pod starts by itself"
    )
