"""TestJobs in every state, made by the lifecycle module as the operator and the runner make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from qgjob.api import lifecycle

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = lifecycle.RetryPolicy(backoff_seconds=60, infrastructure_retries=1)

Object = dict[str, Any]


def pending(name: str = "a1", **spec: Any) -> Object:
    spec = {
        "orgId": "acme",
        "appVersionId": "app-1",
        "test": "tests/login.spec.ts",
        "target": "phones",
        "priority": 5,
        "maxRetries": 3,
        **spec,
    }
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-03-01T11:59:00Z"}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def with_status(job: Object, changes: lifecycle.Changes) -> Object:
    return {**job, "status": lifecycle.apply(job["status"], changes)}


def scheduled(job: Object, batch: str = "tb-1") -> Object:
    return with_status(job, lifecycle.claim(job["status"], batch, replays=job["spec"].get("replays", 0)))


def running(job: Object, batch: str = "tb-1") -> Object:
    job = scheduled(job, batch)
    return with_status(job, lifecycle.start(job["status"], f"{batch}-pod", NOW - timedelta(seconds=20)))


def ended(job: Object, outcome: lifecycle.OutcomeName, message: str = "", **more: Any) -> Object:
    """It runs once more, and this comes of it."""
    job = running(job)
    result = lifecycle.Result(outcome, message, **more)
    return with_status(job, lifecycle.finish(job["status"], result, POLICY, job["spec"]["maxRetries"], NOW))


def passed(job: Object) -> Object:
    return ended(job, "passed")


def dead(job: Object, message: str = 'Expected "Items: 3"') -> Object:
    """It fails until it has no retry left."""
    while job["status"]["phase"] != lifecycle.DEAD_LETTERED:
        job = ended(job, "failed", message)
    return job


def broken(job: Object, message: str = "the device went away") -> Object:
    """Infrastructure fails until the budget is spent."""
    while job["status"]["phase"] != lifecycle.DEAD_LETTERED:
        job = ended(job, "infrastructure", message)
    return job


def cancelled(job: Object) -> Object:
    return with_status(job, lifecycle.cancel(job["status"], NOW))


def replayed(job: Object) -> Object:
    """Somebody counts spec.replays up; the operator has not seen it yet."""
    return {**job, "spec": {**job["spec"], "replays": job["spec"].get("replays", 0) + 1}}
