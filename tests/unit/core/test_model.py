"""What the views read from the API's objects."""

from __future__ import annotations

from typing import Any

import pytest

from qgjob.api.gitops import is_gitops
from testqueue.core.model import Key, RetryPolicy

from .objects import NOW, at, batch, ended_pod, job, kube_job, pod, target


def test_a_testjob_never_written_waits_from_its_creation() -> None:
    view = job(created=5)

    assert (view.phase, view.attempt, view.queued, view.due) == ("Pending", 0, NOW + 5, 0.0)


def test_a_replayed_testjob_waits_from_its_replay() -> None:
    assert job(created=0, queueTime=at(100)).queued == NOW + 100


@pytest.mark.parametrize("odd", ["2026-11-24T09:00:60Z", "0000-01-01T00:00:00Z"])
def test_a_testjob_with_odd_times_can_be_read(odd: str) -> None:
    view = job(created=5, phase="Retrying", queueTime=odd, nextAttemptTime=odd, finishTime=odd)

    assert (view.queued, view.due, view.finished) == (NOW + 5, 0.0, None)


def test_a_batch_never_written_is_open_and_not_over() -> None:
    view = batch()

    assert (view.phase, view.open, view.over, view.pod) == ("Pending", True, False, "")


@pytest.mark.parametrize("phase", ["Completed", "Failed", "Yielded"])
def test_a_batch_with_an_end_is_over(phase: str) -> None:
    assert batch(phase=phase).over


def test_a_batch_that_has_installed_has_run_tests() -> None:
    assert batch(phase="Failed", installSeconds=0.0).tests_run
    assert not batch(phase="Failed").tests_run


@pytest.mark.parametrize(
    ("devices", "parallelism", "slots"),
    [
        (("a", "b"), None, 2),
        (("a", "b"), 1, 1),
        (("a", "b"), 5, 2),
        (("a", "b"), 0, 0),
        (None, None, 1),
        (None, 4, 4),
        (None, 0, 0),
    ],
)
def test_the_slots_are_parallelism_bounded_by_the_devices(
    devices: tuple[str, ...] | None, parallelism: int | None, slots: int
) -> None:
    assert target(devices=devices, parallelism=parallelism).slots == slots


def test_a_target_that_says_little_has_the_defaults() -> None:
    view = target(provider={"none": {}})

    assert (view.max_tests, view.start_seconds, view.fence_seconds, view.retry) == (
        50,
        300,
        60,
        RetryPolicy(),
    )


def test_a_targets_leases_are_read_from_its_status() -> None:
    (lease,) = target(devices=("a",), busy={"a": "tb-1"}).leases

    assert (lease.name, lease.batch, lease.since) == ("a", "tb-1", at(0))


# Pods


def test_a_pod_is_terminated_when_its_containers_are_reported_so() -> None:
    assert ended_pod().terminated
    assert not pod().terminated


def test_a_failed_phase_alone_is_no_proof() -> None:
    """The control plane sets it for a node that it has lost sight of; the container may run on."""
    assert not pod(phase="Failed", state={"running": {}}).terminated


@pytest.mark.parametrize(
    "status",
    [{"reason": "Evicted"}, {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}],
)
def test_an_eviction_is_seen(status: dict[str, Any]) -> None:
    assert pod(phase="Failed", state={"terminated": {"exitCode": 137}}, **status).evicted


def test_an_image_that_cannot_be_pulled_is_a_problem() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}

    view = pod(phase="Pending", state=waiting)

    assert (view.problem, view.message) == ("ImagePullBackOff", "Back-off pulling image x")


def test_a_container_that_is_being_created_is_no_problem() -> None:
    assert pod(phase="Pending", state={"waiting": {"reason": "ContainerCreating"}}).problem == ""


def test_a_pod_that_no_node_takes_is_a_problem() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes",
    }

    view = pod(phase="Pending", state={}, conditions=[condition])

    assert (view.problem, view.message) == ("Unschedulable", "0/1 nodes")


def test_a_container_that_ran_out_of_memory_says_so() -> None:
    state = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}

    assert pod(phase="Failed", state=state).problem == "OOMKilled"


def test_a_sidecar_that_was_ended_with_its_pod_is_no_problem() -> None:
    emulator = {"name": "emulator", "state": {"terminated": {"exitCode": 143, "reason": "Error"}}}

    view = ended_pod(code=0, sidecar="emulator", initContainerStatuses=[emulator])

    assert view.terminated
    assert view.problem == ""


def test_the_runners_end_is_told_before_anothers() -> None:
    first = {"name": "own", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}

    view = ended_pod(code=2, initContainerStatuses=[first])

    assert view.message == "container runner ended with exit code 2"


def test_a_sidecar_that_cannot_start_is_a_problem_with_its_last_words() -> None:
    emulator = {
        "name": "emulator",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 1, "message": "no /dev/kvm"}},
    }
    waits = {"waiting": {"reason": "PodInitializing"}}

    view = pod(phase="Pending", state=waits, sidecar="emulator", initContainerStatuses=[emulator])

    assert view.problem == "CrashLoopBackOff"
    assert view.message == "container emulator ended with exit code 1: no /dev/kvm; back-off 10s"


def on_a_node(*, ready: str) -> list[dict[str, str]]:
    return [
        {"type": "PodScheduled", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": ready},
    ]


@pytest.mark.parametrize(("ready", "mounting"), [("False", True), ("True", False)])
def test_a_pod_on_a_node_without_any_container_waits_for_its_volumes(ready: str, mounting: bool) -> None:
    waits = {"waiting": {"reason": "PodInitializing"}}

    assert pod(phase="Pending", state=waits, conditions=on_a_node(ready=ready)).mounting is mounting


def test_a_deleted_pod_that_does_not_end_is_overdue_once_its_token_is_dead() -> None:
    view = pod(deleted=60)

    assert not view.overdue(NOW + 60 + 70)
    assert view.overdue(NOW + 60 + 71)


def test_a_deleted_pod_that_has_ended_is_not_overdue() -> None:
    assert not ended_pod(deleted=60).overdue(NOW + 1000)


@pytest.mark.parametrize("ended", ["Complete", "Failed"])
def test_a_kubernetes_job_ends_by_its_conditions(ended: str) -> None:
    assert kube_job(ended=ended).ended
    assert not kube_job().ended


# Who manages an object


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"argocd.argoproj.io/tracking-id": "app:group/kind:ns/name"}},
        {"labels": {"argocd.argoproj.io/instance": "app"}},
        {"labels": {"app.kubernetes.io/instance": "app"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "app"}},
        {"labels": {"helm.toolkit.fluxcd.io/name": "app"}},
    ],
)
def test_what_argo_cd_or_flux_manages_is_recognised(metadata: dict[str, Any]) -> None:
    assert is_gitops(metadata)


def test_other_labels_mean_nothing() -> None:
    assert not is_gitops({"labels": {"team": "checkout"}, "annotations": {"note": "x"}})


def test_a_key_reads_as_people_write_it() -> None:
    assert str(Key("team", "login")) == "team/login"
