"""Which batches get a live look: everything odd in time, nothing ordinary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from testqueue.core.model import Key
from testqueue.core.nominate import RECHECK_SECONDS

from .objects import NAMESPACE, NOW, at, batch, ended_pod, job, kube_job, pod, target
from .planning import Scene

if TYPE_CHECKING:
    from testqueue.core.model import BatchView, PodView

POD = pod()
SCHEDULED = job("a", phase="Scheduled", batch="tb-1", attempt=1)


def owned(by: PodView = POD, **status: Any) -> BatchView:
    return batch(**{"phase": "Running", "pod": by.uid, "podName": by.name, **status})


def stuck(reason: str) -> PodView:
    return pod(phase="Pending", state={"waiting": {"reason": reason, "message": "no"}})


def test_a_batch_that_runs_is_left_alone() -> None:
    assert Scene(target(), owned(), POD, kube_job(), SCHEDULED).checks(now=1000) == {}


def test_a_batch_that_starts_is_left_alone() -> None:
    assert (
        Scene(target(), batch(), pod(phase="Pending", state={}), kube_job(), SCHEDULED).checks(now=100) == {}
    )


def test_a_batch_that_is_over_is_left_alone() -> None:
    assert Scene(target(), owned(phase="Completed"), ended_pod(code=0)).checks(now=1000) == {}


@pytest.mark.parametrize("now", [1, 2])
def test_a_batch_that_was_made_a_moment_ago_is_left_alone(now: int) -> None:
    assert Scene(target(), batch(), SCHEDULED).checks(now) == {}


def test_a_batch_without_a_job_is_gone_on_with() -> None:
    assert Scene(target(), batch(), SCHEDULED).checks(now=4) == {"tb-1": "resume"}


def test_one_that_could_not_get_a_job_in_time_is_looked_at() -> None:
    assert Scene(target(), batch(), SCHEDULED).checks(now=301) == {"tb-1": "it has no pod"}


@pytest.mark.parametrize(("now", "checks"), [(10, {}), (16, {"tb-1": "its pod waits for its volumes"})])
def test_a_pod_that_waits_for_its_volumes(now: int, checks: dict[str, str]) -> None:
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "PodReadyToStartContainers", "status": "False"},
    ]
    waits = pod(phase="Pending", state={"waiting": {"reason": "PodInitializing"}}, conditions=conditions)

    assert Scene(target(), batch(), waits, kube_job(), SCHEDULED).checks(now) == checks


def test_a_pod_that_ended_before_its_batch() -> None:
    gone = ended_pod()

    assert Scene(target(), owned(gone), gone, kube_job()).checks() == {"tb-1": "its pod ended before it did"}


def test_an_owner_that_is_not_seen() -> None:
    assert Scene(target(), owned(), kube_job()).checks() == {"tb-1": "its pod is gone"}


def test_another_pod_is_not_the_owner() -> None:
    twin = pod("tb-1-other")

    assert Scene(target(), owned(), twin, kube_job()).checks() == {"tb-1": "its pod is gone"}


def test_an_owner_that_was_deleted_may_take_its_time() -> None:
    going = pod(deleted=60)

    assert Scene(target(), owned(going), going, kube_job()).checks(now=100) == {}


def test_an_owner_that_does_not_end_is_looked_at() -> None:
    going = pod(deleted=60)

    scene = Scene(target(), owned(going), going, kube_job())

    assert scene.checks(now=131) == {"tb-1": "its pod was deleted, and does not end"}


def test_a_pod_that_cannot_start() -> None:
    scene = Scene(target(), batch(), stuck("ImagePullBackOff"), kube_job())

    assert scene.checks() == {"tb-1": "its pod cannot start"}


def test_a_job_that_ended_without_a_pod() -> None:
    scene = Scene(target(), batch(), kube_job(ended="Failed"))

    assert scene.checks() == {"tb-1": "its Kubernetes Job ended before it did"}


def test_a_job_that_makes_no_pod() -> None:
    scene = Scene(target(), batch(), kube_job())

    assert scene.checks(now=15) == {}
    assert scene.checks(now=16) == {"tb-1": "it has no pod"}


def test_a_runner_that_does_not_take_its_batch() -> None:
    scene = Scene(target(timeouts={"startSeconds": 60}), batch(), POD, kube_job())

    assert scene.checks(now=60) == {}
    assert scene.checks(now=61) == {"tb-1": "it did not start in time"}


def test_the_start_counts_from_the_job_where_that_came_late() -> None:
    scene = Scene(target(timeouts={"startSeconds": 60}), batch(), POD, kube_job(created=100))

    assert scene.checks(now=160) == {}
    assert scene.checks(now=161) == {"tb-1": "it did not start in time"}


def test_testjobs_that_an_ended_batch_left_behind() -> None:
    scene = Scene(target(), owned(phase="Completed", finishTime=at(10)), POD, SCHEDULED)

    assert scene.checks(now=12) == {}
    assert scene.checks(now=13) == {"tb-1": "it is over, but TestJobs still belong to it"}


def test_testjobs_of_a_batch_that_does_not_exist() -> None:
    assert Scene(target(), SCHEDULED).checks() == {"tb-1": "TestJobs belong to it, but it does not exist"}


def test_a_device_of_a_batch_that_does_not_exist() -> None:
    scene = Scene(target(devices=("x",), busy={"x": "tb-1"}))

    assert scene.checks() == {"tb-1": "it holds a device, but does not exist"}


def test_a_batch_whose_target_was_deleted_is_looked_at_too() -> None:
    gone = ended_pod()

    assert Scene(owned(gone), gone, kube_job()).checks() == {"tb-1": "its pod ended before it did"}


# How often


def test_a_look_is_not_repeated_at_once() -> None:
    scene = Scene(target(), owned())
    scene.plan(now=10)

    assert scene.checks(now=10 + RECHECK_SECONDS - 1) == {}
    assert scene.checks(now=10 + RECHECK_SECONDS) == {"tb-1": "its pod is gone"}


def test_a_look_that_has_to_wait_is_repeated_when_it_said() -> None:
    scene = Scene(target(), owned())
    scene.plan(now=10)
    scene.planner.check_again(Key(NAMESPACE, "tb-1"), NOW + 40)

    assert scene.checks(now=39) == {}
    assert scene.checks(now=40) == {"tb-1": "its pod is gone"}


def test_what_was_repaired_and_breaks_again_is_looked_at_at_once() -> None:
    scene = Scene(target(), owned())
    scene.plan(now=10)
    scene.know(POD)
    scene.plan(now=11)

    scene.store.pods.remove(pod())

    assert scene.checks(now=12) == {"tb-1": "its pod is gone"}
