"""The Kubernetes Job that a batch gets."""

from __future__ import annotations

from typing import Any

import pytest

from testqueue.pods import Images, PodTemplateError, build_job, merge

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


HEADERS = {"url": "https://builds.example.com/{appVersionId}", "headersSecret": "builds"}


def courier(**target_spec: Any) -> dict[str, Any]:
    (container,) = [each for each in pod(**target_spec)["initContainers"] if each["name"] == "courier"]
    found: dict[str, Any] = container
    return found


def mounted(container: dict[str, Any]) -> set[str]:
    return {mount["mountPath"] for mount in container["volumeMounts"]}


def names(container: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable for variable in container["env"]}


def test_a_target_without_secrets_gets_no_sidecar() -> None:
    assert "initContainers" not in pod(app={"url": "https://builds.example.com/{appVersionId}"})


def test_secrets_are_in_the_courier_and_nowhere_else() -> None:
    spec: dict[str, Any] = {
        "app": HEADERS,
        "gitCredentials": [{"urlPrefix": "https://git.example.com/", "secret": "git"}],
    }

    secrets = {volume["name"] for volume in pod(**spec)["volumes"] if "secret" in volume}
    assert secrets == {"secret-app-headers", "secret-git-0"}
    folder = "/var/run/qgjob/secrets"
    assert {f"{folder}/app-headers", f"{folder}/git-0"} <= mounted(courier(**spec))
    assert not any(mount["name"] in secrets for mount in runner(**spec)["volumeMounts"])


def test_the_courier_ends_with_the_runner_and_has_its_image() -> None:
    template = {"spec": {"containers": [{"name": "runner", "image": "own:3"}]}}

    made = courier(app=HEADERS, podTemplate=template)

    assert made["restartPolicy"] == "Always"
    assert made["image"] == "own:3"
    assert made["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_runner_and_courier_share_the_socket_and_the_work_folder() -> None:
    ours, theirs = runner(app=HEADERS), courier(app=HEADERS)

    assert names(ours)["QGJOB_COURIER_SOCKET"] == names(theirs)["QGJOB_COURIER_SOCKET"]
    assert mounted(ours) <= mounted(theirs)


def test_the_claim_for_artifacts_is_the_couriers_alone() -> None:
    spec = {"artifacts": {"persistentVolumeClaim": {"claimName": "reports"}}}

    assert {"name": "artifacts", "persistentVolumeClaim": {"claimName": "reports"}} in pod(**spec)["volumes"]
    assert "/var/run/qgjob/artifacts" in mounted(courier(**spec))
    assert "/var/run/qgjob/artifacts" not in mounted(runner(**spec))


def test_a_cache_is_mounted_in_both() -> None:
    spec = {"app": HEADERS, "cache": {"volume": {"hostPath": {"path": "/var/cache/qgjob"}}}}

    assert {"name": "cache", "hostPath": {"path": "/var/cache/qgjob"}} in pod(**spec)["volumes"]
    assert "/cache" in mounted(runner(**spec))
    assert "/cache" in mounted(courier(**spec))


def test_secret_variables_come_from_their_secret_and_never_replace_our_own() -> None:
    wanted = [
        {"name": "PASSWORD", "secret": "account", "key": "password"},
        {"name": "POD_UID", "secret": "account", "key": "password"},
    ]

    found = names(runner(secretEnv=wanted))

    assert found["PASSWORD"]["valueFrom"] == {"secretKeyRef": {"name": "account", "key": "password"}}
    assert "fieldRef" in found["POD_UID"]["valueFrom"]


def test_browserstacks_keys_are_where_its_tests_look_for_them() -> None:
    provider = {"browserstack": {"device": "d", "osVersion": "14.0", "credentialsSecret": "cloud"}}

    found = names(runner(provider=provider))

    assert found["BROWSERSTACK_USERNAME"]["valueFrom"]["secretKeyRef"] == {"name": "cloud", "key": "username"}
    assert found["BROWSERSTACK_ACCESS_KEY"]["valueFrom"]["secretKeyRef"] == {
        "name": "cloud",
        "key": "accessKey",
    }


EMULATOR = {
    "image": "emulator:14",
    "port": 5556,
    "env": [{"name": "DEVICE", "value": "pixel"}],
    "resources": {"limits": {"devices.kubevirt.io/kvm": "1"}},
}


def test_an_emulator_is_a_sidecar_with_its_images_own_user() -> None:
    spec = {"provider": {"emulator": EMULATOR}}

    (made,) = pod(**spec)["initContainers"]

    assert made["name"] == "emulator"
    assert made["restartPolicy"] == "Always"
    assert made["env"] == EMULATOR["env"]
    assert made["resources"] == EMULATOR["resources"]
    assert "runAsUser" not in pod(**spec)["securityContext"]
    assert runner(**spec)["securityContext"]["runAsUser"] == 10001


def test_an_emulator_is_privileged_only_if_the_target_says_so() -> None:
    (made,) = pod(provider={"emulator": {**EMULATOR, "privileged": True}})["initContainers"]

    assert made["securityContext"]["privileged"] is True
    assert "securityContext" not in pod(provider={"emulator": EMULATOR})["initContainers"][0]


def test_the_targets_template_adds_to_sidecars_by_name() -> None:
    proxy = {"name": "courier", "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}

    made = courier(app=HEADERS, podTemplate={"spec": {"initContainers": [proxy]}})

    assert {"HTTPS_PROXY", "QGJOB_COURIER_SOCKET"} <= set(names(made))


def test_a_volume_whose_folder_is_the_pods_already_is_not_gone_through_file_by_file() -> None:
    assert pod()["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"metadata": "x"}, "podTemplate.metadata must be an object"),
        ({"metadata": {"labels": ["a"]}}, "podTemplate.metadata.labels must be an object"),
        ({"spec": [1]}, "podTemplate.spec must be an object"),
        ({"spec": {"containers": None}}, "can't take the container runner away"),
        ({"spec": {"containers": {"runner": {}}}}, "podTemplate.spec.containers must be a list of objects"),
        ({"spec": {"containers": ["runner"]}}, "podTemplate.spec.containers must be a list of objects"),
        ({"spec": {"containers": [{"name": ["a"]}]}}, "each with a name"),
        ({"spec": {"initContainers": [{"image": "a"}]}}, "podTemplate.spec.initContainers must be"),
        ({"spec": {"volumes": [None]}}, "podTemplate.spec.volumes must be"),
        ({"spec": {"containers": [{"name": "runner", "env": ["A=b"]}]}}, r"containers\[runner\].env must be"),
    ],
    ids=str,
)
def test_a_template_that_is_none_is_told_by_its_place(template: dict[str, Any], words: str) -> None:
    with pytest.raises(PodTemplateError, match=words):
        job(podTemplate=template)
