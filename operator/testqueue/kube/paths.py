"""Where resources are on the API server."""

from __future__ import annotations

from typing import Final

from qgjob.api.constants import API_VERSION, TEST_BATCHES, TEST_JOBS, TEST_TARGETS

_PREFIXES: Final = {
    TEST_JOBS: f"/apis/{API_VERSION}",
    TEST_BATCHES: f"/apis/{API_VERSION}",
    TEST_TARGETS: f"/apis/{API_VERSION}",
    "jobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "pods": "/api/v1",
    "serviceaccounts": "/api/v1",
    "events": "/api/v1",
}


def collection(plural: str, namespace: str = "") -> str:
    """The path of a resource's objects, in one namespace or in all."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{_PREFIXES[plural]}{inside}/{plural}"


def item(plural: str, namespace: str, name: str, subresource: str = "") -> str:
    """The path of one object, or of its subresource."""
    path = f"{collection(plural, namespace)}/{name}"
    return f"{path}/{subresource}" if subresource else path


def resource_of(path: str) -> str:
    """The resource that a path is about, with its subresource: `testjobs/status`. For metrics."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[:1] + parts[2:3])
