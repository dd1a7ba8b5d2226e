"""What the operator does about pods that are lost, refused, or never start. The tests play kubelet and runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import RUNNER_ACCOUNT, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from tests.apiserver.operator_support import (
    BATCH_GROUP,
    CORE,
    ended,
    force_delete,
    make_pod,
    only_batch,
    operating,
    phases,
    take_batch,
)
from tests.apiserver.runner_support import World, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

LATER = {"backoffSeconds": 3600}


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def batch(world: World) -> Iterator[str]:
    """A batch of the TestJobs `first` and `second`, claimed, with a Job, on the one device; no pod yet."""
    devices = [{"name": "pixel", "address": "127.0.0.1:1"}]
    world.target(
        provider={"devices": devices},
        retry=LATER,
        timeouts={"fenceSeconds": 1, "startSeconds": 20},
        parallelism=1,
    )
    world.job("first", priority=6)
    world.job("second")
    with operating(world):
        name = only_batch(world)
        # A pod needs its account; the Job controller would try again until it is there.
        eventually(lambda: has_account(world))
        yield name


def run_first(world: World, batch: str, pod: dict[str, dict[str, str]]) -> None:
    """The pod's runner has begun the first test."""
    take_batch(world, batch, pod)
    world.set_batch_status(batch, phase="Running", installSeconds=1.0)
    name = pod["metadata"]["name"]
    status = {"phase": "Running", "pod": name, "startTime": "2026-01-01T00:00:00Z"}
    world.client.patch(TEST_JOBS, "first", {"status": status}, kind="merge", subresource="status")


def test_a_pod_that_crashed_costs_the_running_test_one_infrastructure_failure(
    world: World, batch: str
) -> None:
    pod = make_pod(world, batch)
    run_first(world, batch, pod)
    world.client.patch(
        "pods",
        pod["metadata"]["name"],
        {"status": ended(137, "OOMKilled")},
        kind="merge",
        subresource="status",
        api_version=CORE,
    )

    eventually(lambda: world.phase("first") == "Retrying", lambda: phases(world))
    first = world.status("first")
    assert first["infrastructureFailures"] == 1
    assert first["failures"] == 0
    assert first["reason"] == "OOMKilled"
    eventually(lambda: world.batch_status(batch)["phase"] == "Failed")
    assert world.status("second")["infrastructureFailures"] == 0
    eventually(lambda: world.status("second")["batch"] != batch, lambda: world.status("second"))


def test_a_pod_that_vanished_is_waited_for_until_its_runner_has_fenced_itself(
    world: World, batch: str
) -> None:
    pod = make_pod(world, batch)
    run_first(world, batch, pod)
    force_delete(world, pod)

    eventually(lambda: world.status("second")["batch"] == "", lambda: world.status("second"))
    assert world.phase("first") == "Running"
    assert world.batch_status(batch)["phase"] == "Running"
    assert world.client.get(TEST_TARGETS, "sim")["status"]["devices"][0]["batch"] == batch

    eventually(lambda: world.phase("first") == "Retrying", lambda: phases(world))
    assert world.status("first")["reason"] == "PodDeleted"
    eventually(lambda: world.batch_status(batch)["phase"] == "Failed")


def test_a_pod_that_ends_before_its_first_test_is_charged_to_all_and_holds_the_group(
    world: World, batch: str
) -> None:
    pod = make_pod(world, batch)
    take_batch(world, batch, pod)
    world.client.patch(
        "pods",
        pod["metadata"]["name"],
        {"status": ended(1)},
        kind="merge",
        subresource="status",
        api_version=CORE,
    )

    eventually(lambda: set(phases(world).values()) == {"Retrying"}, lambda: phases(world))
    world.job("third")
    assert [world.status(name)["infrastructureFailures"] for name in ("first", "second")] == [1, 1]
    eventually(lambda: world.client.get(TEST_TARGETS, "sim")["status"]["waiting"] == 3)
    assert world.phase("third") == "Pending"


def test_an_eviction_before_the_first_test_is_nobodys_fault(world: World, batch: str) -> None:
    pod = make_pod(world, batch)
    status = {**ended(143), "reason": "Evicted", "message": "The node was low on memory"}
    world.client.patch(
        "pods",
        pod["metadata"]["name"],
        {"status": status},
        kind="merge",
        subresource="status",
        api_version=CORE,
    )

    eventually(lambda: world.batch_status(batch)["phase"] == "Failed")
    assert world.batch_status(batch)["reason"] == "Evicted"
    for name in ("first", "second"):
        assert world.status(name)["infrastructureFailures"] == 0


def test_a_pod_that_cannot_start_says_why_and_ends_at_the_start_timeout(world: World, batch: str) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}
    container = {
        "name": "runner",
        "state": {"waiting": waiting},
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
    }
    make_pod(world, batch, phase="Pending", containerStatuses=[container])

    eventually(lambda: world.status("first")["reason"] == "ImagePullBackOff", lambda: world.status("first"))
    assert world.phase("first") == "Scheduled"
    eventually(lambda: "Back-off" in world.batch_status(batch)["message"])

    eventually(lambda: world.batch_status(batch)["phase"] == "Failed", lambda: world.batch_status(batch))
    assert world.status("first")["infrastructureFailures"] == 1
    assert not list(world.client.list("jobs", api_version=BATCH_GROUP))


def test_a_refused_pod_is_explained_by_its_event(world: World, batch: str) -> None:
    text = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0'
    tell(world, batch, text)

    eventually(lambda: world.status("first")["reason"] == "QuotaExceeded", lambda: world.status("first"))
    eventually(lambda: world.batch_status(batch)["message"] == text, lambda: world.batch_status(batch))


def test_a_runners_account_that_someone_deleted_is_made_again_and_nobody_is_bothered(
    world: World, batch: str
) -> None:
    world.client.delete("serviceaccounts", RUNNER_ACCOUNT, api_version=CORE)
    tell(world, batch, 'error looking up service account: serviceaccount "qgjob-runner" not found')

    eventually(lambda: has_account(world))
    assert world.status("first")["reason"] == ""


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([{"name": "runner", "imagePullPolicy": "Sometimes"}], "imagePullPolicy"),
        (["runner"], "podTemplate.spec.containers must be a list of objects, each with a name"),
    ],
    ids=["by the API server", "by its shape"],
)
def test_a_job_that_is_refused_is_explained_and_ends_at_the_start_timeout(
    world: World, containers: list[object], words: str
) -> None:
    wrong = {"spec": {"containers": containers}}
    world.target(podTemplate=wrong, retry=LATER, timeouts={"startSeconds": 3})
    world.job("a")
    with operating(world):
        eventually(lambda: world.status("a")["reason"] == "JobInvalid", lambda: world.status("a"))
        assert words in world.status("a")["message"]

        eventually(lambda: world.phase("a") == "Retrying", lambda: world.status("a"))
        assert world.status("a")["infrastructureFailures"] == 1


def test_deleting_a_batch_gives_its_tests_back(world: World, batch: str) -> None:
    world.client.delete(TEST_BATCHES, batch)

    eventually(lambda: world.status("first")["batch"] not in {batch, ""}, lambda: world.status("first"))
    assert world.status("first")["infrastructureFailures"] == 0


def test_a_cancelled_test_whose_pod_is_lost_ends_cancelled(world: World, batch: str) -> None:
    pod = make_pod(world, batch)
    run_first(world, batch, pod)
    world.set_spec(TEST_JOBS, "first", cancel=True)
    world.client.patch(
        "pods",
        pod["metadata"]["name"],
        {"status": ended(1)},
        kind="merge",
        subresource="status",
        api_version=CORE,
    )

    eventually(lambda: world.phase("first") == "Cancelled", lambda: phases(world))


def tell(world: World, batch: str, text: str) -> None:
    """The Job controller could not make the batch's pod."""
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "refused", "namespace": world.namespace},
        "involvedObject": {
            "kind": "Job",
            "namespace": world.namespace,
            "name": batch,
            "apiVersion": "batch/v1",
        },
        "reason": "FailedCreate",
        "message": text,
        "type": "Warning",
    }
    world.client.create("events", event, api_version=CORE)


def has_account(world: World) -> bool:
    return any(
        account["metadata"]["name"] == RUNNER_ACCOUNT
        for account in world.client.list("serviceaccounts", api_version=CORE)
    )
