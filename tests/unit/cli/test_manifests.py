"""TestJobs from files."""

from __future__ import annotations

import json

import pytest

from qgjob.cli import manifests

JOB = "apiVersion: qgjob.dev/v1alpha1\nkind: TestJob\nmetadata: {name: a}\nspec: {test: a.ts}\n"


def test_every_document_is_a_job() -> None:
    jobs = manifests.read(f"{JOB}---\n{JOB.replace('name: a', 'name: b')}---\n", "jobs.yaml")

    assert [job["metadata"]["name"] for job in jobs] == ["a", "b"]


def test_a_list_is_its_items() -> None:
    job = {"apiVersion": "qgjob.dev/v1alpha1", "kind": "TestJob", "spec": {}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [job, job]})

    assert len(manifests.read(text, "stdin")) == 2


def test_a_status_is_not_submitted() -> None:
    [job] = manifests.read(f"{JOB}status: {{phase: Succeeded}}\n", "jobs.yaml")

    assert "status" not in job


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "jobs.yaml: no TestJob in it"),
        ("a: [", "jobs.yaml: no valid YAML"),
        ("just text", "a document is no mapping"),
        ("apiVersion: v1\nkind: Pod\n", "v1 Pod is no qgjob.dev/v1alpha1 TestJob: `kubectl apply -f`"),
        ("apiVersion: qgjob.dev/v1\nkind: TestJob\nspec: {}\n", "qgjob.dev/v1 TestJob is no"),
        ("apiVersion: qgjob.dev/v1alpha1\nkind: TestJob\n", "a TestJob has no spec"),
    ],
)
def test_anything_else_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        manifests.read(text, "jobs.yaml")
