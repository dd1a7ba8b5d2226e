"""The CustomResourceDefinitions themselves: taken without complaint, with the names that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hack.generate_crds import FOLDER
from qgjob.api.constants import API_VERSION, GROUP
from tests.apiserver.crd_support import JOB, Resource

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLURALS = ("testjobs", "testbatches", "testtargets")
#: kubectl keeps the manifest in an annotation when it applies one; the API server takes so many bytes of them.
ANNOTATIONS_LIMIT = 256 * 1024


@pytest.mark.parametrize("plural", PLURALS)
def test_it_is_established_and_structural(crds: ThrowawayControlPlane, plural: str) -> None:
    status = crds.client.get(f"{DEFINITIONS}/{plural}.{GROUP}")["status"]
    conditions = {each["type"]: each["status"] for each in status["conditions"]}

    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("plural", PLURALS)
def test_its_file_can_be_applied_by_kubectl(crds: ThrowawayControlPlane, plural: str) -> None:
    text = (FOLDER / f"{plural}.yaml").read_text()
    crds.client.request(
        "PATCH",
        f"{DEFINITIONS}/{plural}.{GROUP}?fieldManager=kubectl&force=true&dryRun=All&fieldValidation=Strict",
        yaml.safe_load(text),
        "application/apply-patch+yaml",
    )

    assert len(text) < ANNOTATIONS_LIMIT / 4


@pytest.mark.parametrize(
    ("plural", "kind", "short"),
    [("testjobs", "TestJob", "tj"), ("testbatches", "TestBatch", "tb"), ("testtargets", "TestTarget", "tt")],
)
def test_it_has_a_short_name_and_is_in_the_category(
    crds: ThrowawayControlPlane, plural: str, kind: str, short: str
) -> None:
    found: list[dict[str, Any]] = crds.client.get(f"/apis/{API_VERSION}")["resources"]
    [resource] = [each for each in found if each["name"] == plural]

    assert resource["kind"] == kind
    assert resource["namespaced"] is True
    assert resource["shortNames"] == [short]
    assert resource["categories"] == ["qgjob"]
    assert f"{plural}/status" in {each["name"] for each in found}


def test_a_misspelt_field_is_refused_where_kubectl_asks_for_that(
    crds: ThrowawayControlPlane, namespace: str
) -> None:
    jobs = Resource(crds.client, namespace, "testjobs")

    assert 'unknown field "spec.priorty"' in jobs.refusal(
        {**JOB, "priorty": 9}, query="?fieldValidation=Strict"
    )


def test_a_misspelt_field_is_dropped_otherwise(crds: ThrowawayControlPlane, namespace: str) -> None:
    job = Resource(crds.client, namespace, "testjobs").create({**JOB, "priorty": 9})

    assert "priorty" not in job["spec"]
