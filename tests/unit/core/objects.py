"""Objects as the API server returns them, with what a test does not care about filled in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qgjob.api.constants import BATCH_LABEL
from qgjob.api.lifecycle import timestamp
from testqueue.core.model import BatchView, JobView, KubeJobView, PodView, TargetView

if TYPE_CHECKING:
    from testqueue.core.actions import CreateBatch

NOW = 1_795_507_200.0  # 2026-11-24T08:00:00Z
AGEING = 3600.0
NAMESPACE = "team"
_versions = itertools.count(1)


def at(seconds: float) -> str:
    """The Kubernetes date-time so many seconds after NOW."""
    return timestamp(datetime.fromtimestamp(NOW + seconds, UTC))


def metadata(name: str, version: int | None = None, created: float = 0, **more: Any) -> dict[str, Any]:
    """Each object is newer than the one before, unless the version is given."""
    return {
        "namespace": NAMESPACE,
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": str(next(_versions) if version is None else version),
        "creationTimestamp": at(created),
        **more,
    }


def job(
    name: str = "login",
    *,
    app: str = "shop-1",
    target: str = "phones",
    org: str = "org",
    priority: int = 5,
    created: float = 0,
    version: int | None = None,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> JobView:
    """A TestJob; `status` as on the wire, `created` in seconds after NOW."""
    return JobView.from_object(
        {
            "metadata": metadata(name, version, created),
            "spec": {
                "orgId": org,
                "appVersionId": app,
                "test": f"{name}.spec.ts",
                "target": target,
                "priority": priority,
                **(spec or {}),
            },
            "status": status,
        }
    )


def batch(
    name: str = "tb-1",
    jobs: tuple[JobView, ...] = (),
    *,
    app: str = "shop-1",
    target: str = "phones",
    device: str = "",
    address: str = "",
    yields: bool = False,
    created: float = 0,
    version: int | None = None,
    **status: Any,
) -> BatchView:
    """A TestBatch that names those TestJobs, for the attempt after the one that they count now."""
    spec: dict[str, Any] = {
        "appVersionId": app,
        "target": target,
        "priority": 5,
        "jobs": [{"name": each.name, "uid": each.uid, "attempt": each.attempt + 1} for each in jobs],
    }
    if yields:
        spec["yield"] = True
    if device:
        spec["device"] = {"name": device, "address": address or f"{device}:5555"}
    return BatchView.from_object(
        {"metadata": metadata(name, version, created), "spec": spec, "status": status}
    )


def made(action: CreateBatch, *, created: float = 0, **status: Any) -> BatchView:
    """The TestBatch that the planner asked for."""
    return BatchView.from_object(
        {"metadata": metadata(action.name, created=created), "spec": action.spec(), "status": status}
    )


def target(
    name: str = "phones",
    *,
    devices: tuple[str, ...] | None = None,
    busy: dict[str, str] | None = None,
    version: int | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> TargetView:
    """A TestTarget; `busy` names the batch of each leased device."""
    if devices is not None:
        spec["provider"] = {"devices": [{"name": each, "address": f"{each}:5555"} for each in devices]}
    leases = [
        {"name": device, "state": "Busy", "batch": by, "since": at(0)} for device, by in (busy or {}).items()
    ]
    return TargetView.from_object(
        {"metadata": metadata(name, version), "spec": spec, "status": {"devices": leases, **(status or {})}}
    )


def pod(
    name: str = "tb-1-abcde",
    *,
    of: str = "tb-1",
    phase: str = "Running",
    state: dict[str, Any] | None = None,
    deleted: float | None = None,
    sidecar: str = "",
    **status: Any,
) -> PodView:
    """A runner's pod; `state` is its container's, `deleted` the end of its grace period in seconds after NOW."""
    spec = {"initContainers": [{"name": sidecar, "restartPolicy": "Always"}]} if sidecar else {}
    more = {} if deleted is None else {"deletionTimestamp": at(deleted)}
    container = {"name": "runner", "state": {"running": {}} if state is None else state}
    return PodView.from_object(
        {
            "metadata": metadata(name, labels={BATCH_LABEL: of}, **more),
            "spec": spec,
            "status": {"phase": phase, "containerStatuses": [container], **status},
        }
    )


def ended_pod(code: int = 1, **options: Any) -> PodView:
    """A pod whose containers are reported terminated."""
    state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
    return pod(phase="Failed" if code else "Succeeded", state=state, **options)


def kube_job(
    name: str = "tb-1", *, created: float = 0, ended: str = "", message: str = "", version: int | None = None
) -> KubeJobView:
    """A Kubernetes Job; `ended` is Complete or Failed."""
    conditions = [{"type": ended, "status": "True", "message": message}] if ended else []
    return KubeJobView.from_object(
        {"metadata": metadata(name, version, created), "spec": {}, "status": {"conditions": conditions}}
    )
