"""The samples, as a real API server takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hack.localcluster.rest import ApiError
from qgjob.api.constants import API_VERSION
from qgjob.api.schema import RESOURCES

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
PLURALS: dict[str, str] = {model.__name__: model.PLURAL for model in RESOURCES}  # type: ignore[attr-defined]


def ours() -> list[Any]:
    """Every TestJob and TestTarget of the samples, with its place for a name."""
    return [
        pytest.param(document, id=f"{path.relative_to(SAMPLES)}:{document['metadata']['name']}")
        for path in sorted(SAMPLES.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document and document.get("apiVersion") == API_VERSION
    ]


def apply_strictly(server: ThrowawayControlPlane, namespace: str, document: dict[str, Any]) -> dict[str, Any]:
    """What `kubectl apply --server-side --dry-run=server --validate=strict` sends."""
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURALS[document['kind']]}"
    query = "fieldManager=test&fieldValidation=Strict&dryRun=All"
    applied: dict[str, Any] = server.client.request(
        "PATCH", f"{path}/{document['metadata']['name']}?{query}", document, "application/apply-patch+yaml"
    )
    return applied


@pytest.mark.parametrize("document", ours())
def test_the_server_takes_every_sample(
    crds: ThrowawayControlPlane, namespace: str, document: dict[str, Any]
) -> None:
    assert apply_strictly(crds, namespace, document)["metadata"]["name"] == document["metadata"]["name"]


def test_the_server_would_refuse_a_mistyped_field(crds: ThrowawayControlPlane, namespace: str) -> None:
    document = {
        "apiVersion": API_VERSION,
        "kind": "TestTarget",
        "metadata": {"name": "phones"},
        "spec": {"driver": {"name": "simulate"}, "retry": {"backofSeconds": 5}},
    }

    with pytest.raises(ApiError, match="backofSeconds"):
        apply_strictly(crds, namespace, document)
