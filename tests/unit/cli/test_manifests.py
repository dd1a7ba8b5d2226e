"""TestJobs from files."""

from __future__ import annotations

import json

import pytest

from qgjob.cli import manifests

JOB = "apiVersion: qgjob.dev/v1alpha1\nkind: TestJob\nmetadata: {name: a}\nspec: {test: a.ts}\n"


def test_every_document_is_a_job() -> None:
    jobs, problems = manifests.read(f"{JOB}---\n{JOB.replace('name: a', 'name: b')}---\n", "jobs.yaml")

    assert [(job.where, job.manifest["metadata"]["name"]) for job in jobs] == [
        ("jobs.yaml, document 1", "a"),
        ("jobs.yaml, document 2", "b"),
    ]
    assert problems == []


def test_a_list_is_its_items() -> None:
    job = {"apiVersion": "qgjob.dev/v1alpha1", "kind": "TestJob", "spec": {}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [job, job]})

    jobs, _ = manifests.read(text, "stdin")

    assert [job.where for job in jobs] == ["stdin, item 1", "stdin, item 2"]


def test_a_status_is_not_submitted() -> None:
    [job], _ = manifests.read(f"{JOB}status: {{phase: Succeeded}}\n", "jobs.yaml")

    assert job.where == "jobs.yaml"
    assert "status" not in job.manifest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "jobs.yaml: no TestJob in it"),
        ("a: [", "jobs.yaml: no valid YAML"),
        ("just text", "jobs.yaml: no mapping: 'just text'"),
        ("apiVersion: v1\nkind: Pod\n", "v1 Pod is no qgjob.dev/v1alpha1 TestJob: `kubectl apply -f`"),
        ("apiVersion: qgjob.dev/v1\nkind: TestJob\nspec: {}\n", "qgjob.dev/v1 TestJob is no"),
        ("apiVersion: qgjob.dev/v1alpha1\nkind: TestJob\n", "a TestJob has no spec"),
        (JOB.replace("{name: a}", "a"), "its metadata is no mapping"),
    ],
)
def test_anything_else_is_refused(text: str, words: str) -> None:
    jobs, problems = manifests.read(text, "jobs.yaml")

    assert (jobs, len(problems)) == ([], 1)
    assert words in problems[0]


def test_every_bad_document_is_told_with_its_number() -> None:
    bad = "apiVersion: v1\nkind: Pod\n"

    jobs, problems = manifests.read(f"{JOB}---\n{bad}---\n{JOB}---\njust text\n---\na: [\n", "many.yaml")

    assert [job.where for job in jobs] == ["many.yaml, document 1", "many.yaml, document 3"]
    assert [problem.split(":", 1)[0] for problem in problems] == [
        "many.yaml, document 2",
        "many.yaml, document 4",
        "many.yaml, document 5",
    ]
