"""Objects of qgjob's resources as people write them, and what the API server says to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from hack.localcluster.rest import ApiError
from qgjob.api.constants import API_VERSION

if TYPE_CHECKING:
    from hack.localcluster.rest import ApiClient

Object = dict[str, Any]

#: In a change of a manifest: leave this field out. It has a name, because tests' names have it, in each worker alike.
ABSENT = Enum("Absent", "ABSENT").ABSENT

JOB: Object = {"orgId": "acme", "appVersionId": "1.2.3", "test": "e2e/login.spec.ts", "target": "phones"}
BATCH: Object = {
    "appVersionId": "1.2.3",
    "target": "phones",
    "priority": 5,
    "jobs": [{"name": "a", "uid": "uid-a", "attempt": 1}],
}
SIMULATED: Object = {"driver": {"name": "simulate"}}
PHONES: Object = {
    "driver": {"name": "appwright"},
    "app": {"url": "https://builds.example.com/{appVersionId}.apk"},
    "provider": {"devices": [{"name": "pixel", "address": "10.0.0.7:5555"}]},
}

_KINDS = {"testjobs": "TestJob", "testbatches": "TestBatch", "testtargets": "TestTarget"}


def changed(spec: Object, changes: Object) -> Object:
    """The spec with some fields replaced or left out."""
    return {key: value for key, value in {**spec, **changes}.items() if value is not ABSENT}


@dataclass(frozen=True)
class Resource:
    """One of the resources in one namespace, over the wire."""

    client: ApiClient
    namespace: str
    plural: str

    @property
    def path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{self.plural}"

    def create(self, spec: Object, name: str = "", query: str = "", **more: Any) -> Object:
        """POST it; raises ApiError."""
        body = {
            "apiVersion": API_VERSION,
            "kind": _KINDS[self.plural],
            "metadata": {"name": name} if name else {"generateName": "test-"},
            "spec": spec,
            **more,
        }
        return self.client.create(f"{self.path}{query}", body)  # type: ignore[no-any-return]

    def refusal(self, spec: Object, name: str = "", query: str = "") -> str:
        """What the server says to it; empty where it takes it."""
        try:
            self.create(spec, name, query)
        except ApiError as error:
            return str(error)
        return ""

    def merge(self, name: str, body: Object, subresource: str = "") -> Object:
        """Change it by a merge patch; raises ApiError."""
        url = f"{self.path}/{name}{subresource}"
        return self.client.request("PATCH", url, body, "application/merge-patch+json")  # type: ignore[no-any-return]

    def change(self, name: str, spec: Object) -> str:
        """What the server says to a change of the spec; empty where it takes it."""
        return self._answer(name, {"spec": spec})

    def report(self, name: str, status: Object) -> str:
        """What the server says to a change of the status; empty where it takes it."""
        return self._answer(name, {"status": status}, "/status")

    def json_patch(self, name: str, steps: list[Object]) -> Object:
        """Change the status by a JSON patch; raises ApiError."""
        url = f"{self.path}/{name}/status"
        return self.client.request("PATCH", url, steps, "application/json-patch+json")  # type: ignore[no-any-return]

    def get(self, name: str) -> Object:
        return self.client.get(f"{self.path}/{name}")  # type: ignore[no-any-return]

    def names(self, selector: str) -> set[str]:
        """Names of those that a field selector finds."""
        found = self.client.get(f"{self.path}?fieldSelector={selector}")
        return {each["metadata"]["name"] for each in found["items"]}

    def table(self) -> list[dict[str, Any]]:
        """The rows that `kubectl get -o wide` prints: by column name, `wide` ones included."""
        found = self.client.request("GET", self.path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        columns = [column["name"] for column in found["columnDefinitions"]]
        return [dict(zip(columns, row["cells"], strict=True)) for row in found["rows"]]

    def columns(self) -> list[str]:
        """The columns that `kubectl get` prints without `-o wide`."""
        found = self.client.request("GET", self.path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        return [column["name"] for column in found["columnDefinitions"] if column["priority"] == 0]

    def _answer(self, name: str, body: Object, subresource: str = "") -> str:
        try:
            self.merge(name, body, subresource)
        except ApiError as error:
            return str(error)
        return ""
