"""What the check of the manifests finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.check_manifests import problems

if TYPE_CHECKING:
    from pathlib import Path

TARGET = """\
apiVersion: qgjob.dev/v1alpha1
kind: TestTarget
metadata: {name: phones, labels: {team: mobile}}
spec:
  driver: {name: simulate}
"""
JOB = """\
apiVersion: qgjob.dev/v1alpha1
kind: TestJob
metadata: {name: a}
spec: {orgId: acme, appVersionId: "1", test: a.ts, target: phones}
"""


def found(folder: Path, text: str) -> list[str]:
    path = folder / "sample.yaml"
    path.write_text(text)
    return problems(path)


@pytest.mark.parametrize("text", [TARGET, JOB, f"{TARGET}---\n{JOB}"])
def test_good_ones_are_left_alone(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TARGET + "  retry: {backofSeconds: 5}\n", "TestTarget: unknown field spec.retry.backofSeconds"),
        (TARGET + "  env: [{name: A, valu: b}]\n", "TestTarget: unknown field spec.env[0].valu"),
        (
            TARGET + "  provider: {none: {count: 3}}\n",
            "TestTarget: unknown field spec.provider.none.count",
        ),
        (JOB + "retries: 3\n", "TestJob: unknown field retries"),
    ],
)
def test_a_field_that_the_schema_lacks_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in found(tmp_path, text)


def test_a_pod_template_may_hold_anything(tmp_path: Path) -> None:
    pod = "  podTemplate: {spec: {nodeSelector: {phones: usb}, tolerations: [{key: phones}]}}\n"

    assert found(tmp_path, TARGET + pod) == []


def test_a_value_that_the_model_refuses_is_told(tmp_path: Path) -> None:
    [problem] = found(tmp_path, TARGET + "  parallelism: -1\n")

    assert "spec.parallelism" in problem


def test_a_kind_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, JOB.replace("TestJob", "TestJobs")) == [
        "there is no kind TestJobs in qgjob.dev/v1alpha1"
    ]


def test_a_resource_that_a_kustomization_lacks_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, "kind: Kustomization\nresources: [nothing.yaml]\n") == ["there is no nothing.yaml"]
