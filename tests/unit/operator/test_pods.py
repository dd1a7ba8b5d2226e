"""The Kubernetes Job that a batch gets."""

from __future__ import annotations

from typing import Any

import pytest

from testqueue.pods import Images, build_job, merge

IMAGES = Images(default="runner:1", appwright="appwright:1")


def job(**target_spec: Any) -> dict[str, Any]:
    return build_job(
        namespace="ci",
        batch="tb-abc",
        batch_uid="uid-1",
        target="phones",
        target_spec=target_spec,
        images=IMAGES,
    )


def pod(**target_spec: Any) -> dict[str, Any]:
    spec: dict[str, Any] = job(**target_spec)["spec"]["template"]["spec"]
    return spec


def runner(**target_spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = pod(**target_spec)["containers"][0]
    return container


def test_it_runs_once_and_goes_with_its_batch() -> None:
    made = job()

    assert made["metadata"]["name"] == "tb-abc"
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["podReplacementPolicy"] == "Failed"
    assert "ttlSecondsAfterFinished" not in made["spec"]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("TestBatch", "uid-1", True)


def test_kubernetes_ends_it_only_after_all_of_its_own_timeouts() -> None:
    timeouts = {"startSeconds": 10, "installSeconds": 20, "batchSeconds": 30}

    assert job(timeouts=timeouts)["spec"]["activeDeadlineSeconds"] > 60


def test_job_and_pod_name_the_batch_and_the_target() -> None:
    made = job()

    for labels in (made["metadata"]["labels"], made["spec"]["template"]["metadata"]["labels"]):
        assert labels["qgjob.dev/batch"] == "tb-abc"
        assert labels["qgjob.dev/target"] == "phones"


@pytest.mark.parametrize(
    ("target_spec", "image"),
    [
        ({"driver": {"name": "simulate"}}, "runner:1"),
        ({"driver": {"name": "appwright"}}, "appwright:1"),
        ({"driver": {"name": "appwright"}, "image": "own:2"}, "own:2"),
    ],
)
def test_the_image_follows_the_driver_unless_the_target_names_one(
    target_spec: dict[str, Any], image: str
) -> None:
    assert runner(**target_spec)["image"] == image


def test_the_runner_is_no_root_and_gains_nothing() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert runner()["securityContext"]["allowPrivilegeEscalation"] is False
    assert runner()["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_targets_template_adds_to_the_runner_by_names() -> None:
    template = {
        "spec": {
            "nodeSelector": {"phones": "yes"},
            "containers": [
                {"name": "runner", "env": [{"name": "EXTRA", "value": "1"}]},
                {"name": "sidecar", "image": "s"},
            ],
        }
    }

    made = pod(podTemplate=template)

    assert made["nodeSelector"] == {"phones": "yes"}
    assert [container["name"] for container in made["containers"]] == ["runner", "sidecar"]
    names = [variable["name"] for variable in made["containers"][0]["env"]]
    assert names[-1] == "EXTRA"
    assert "POD_UID" in names
    assert made["containers"][0]["image"] == "appwright:1"


def test_the_targets_template_cannot_hide_the_pod_or_have_it_restarted() -> None:
    template = {
        "metadata": {"labels": {"qgjob.dev/batch": "other", "team": "a"}},
        "spec": {"restartPolicy": "OnFailure"},
    }

    made = job(podTemplate=template)["spec"]["template"]

    assert made["metadata"]["labels"]["qgjob.dev/batch"] == "tb-abc"
    assert made["metadata"]["labels"]["team"] == "a"
    assert made["spec"]["restartPolicy"] == "Never"


def test_null_in_the_targets_template_removes_a_default() -> None:
    assert "securityContext" not in pod(podTemplate={"spec": {"securityContext": None}})


def test_lists_without_names_are_replaced() -> None:
    assert merge({"args": ["a"], "env": [{"name": "A"}]}, {"args": ["b"]})["args"] == ["b"]


def test_the_targets_own_template_is_left_as_it_was() -> None:
    template: dict[str, Any] = {"metadata": {"labels": {"team": "a"}}, "spec": {"volumes": [{"name": "own"}]}}

    job(podTemplate=template)

    assert template == {"metadata": {"labels": {"team": "a"}}, "spec": {"volumes": [{"name": "own"}]}}
