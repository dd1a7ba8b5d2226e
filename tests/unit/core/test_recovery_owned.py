"""A batch whose runner is lost: what may be given back at once, and what must wait for the fence."""

from __future__ import annotations

import pytest

from .objects import ended_pod, job, pod
from .recovering import FENCED, OWNER, RUNNING, SCHEDULED, look, owned, released

GONE = {"running": "charge RunnerLost", "scheduled": "give_back"}


def test_a_runner_that_works_is_left_alone() -> None:
    repair = look(owned(), SCHEDULED, RUNNING, pods=(OWNER,), now=5000)

    assert (repair.release, repair.end) == ((), None)


# Its containers are reported terminated: at once


def test_when_the_containers_ended_all_is_released_and_the_batch_is_over() -> None:
    dead = ended_pod(code=137)

    repair = look(owned(dead), SCHEDULED, RUNNING, pods=(dead,))

    assert released(repair) == {"running": "charge PodFailed", "scheduled": "give_back"}
    assert repair.end == ("PodFailed", "container runner ended with exit code 137")


def test_an_orderly_end_that_left_something_behind_is_no_different() -> None:
    dead = ended_pod(code=0)

    assert released(look(owned(dead), SCHEDULED, RUNNING, pods=(dead,))) == GONE


def test_a_runner_that_ended_before_its_first_test_charges_what_it_had() -> None:
    dead = ended_pod()

    repair = look(owned(dead, phase="Installing", installSeconds=None), SCHEDULED, pods=(dead,))

    assert released(repair) == {"scheduled": "charge PodFailed"}


def test_a_runner_that_was_evicted_before_its_first_test_charges_nobody() -> None:
    dead = ended_pod(reason="Evicted")

    repair = look(owned(dead, phase="Installing", installSeconds=None), SCHEDULED, pods=(dead,))

    assert released(repair) == {"scheduled": "give_back"}
    assert repair.end is not None
    assert repair.end[0] == "Evicted"


def test_a_test_that_was_evicted_in_the_middle_has_an_infrastructure_failure() -> None:
    dead = ended_pod(conditions=[{"type": "DisruptionTarget", "status": "True"}])

    assert released(look(owned(dead), SCHEDULED, RUNNING, pods=(dead,))) == {
        "running": "charge Evicted",
        "scheduled": "give_back",
    }


def test_a_failed_phase_with_containers_that_run_is_waited_for() -> None:
    """The node is out of sight; its pod garbage collector will delete the pod, and then the fence counts."""
    unseen = pod(phase="Failed", state={"running": {}})

    repair = look(owned(unseen), RUNNING, pods=(unseen,), now=1000)

    assert (repair.release, repair.end) == ((), None)


# Its pod object is missing: after the fence


def test_a_missing_pod_is_no_stopped_process() -> None:
    repair = look(owned(), RUNNING)

    assert (repair.release, repair.end, repair.absent) == ((), None, True)


def test_what_was_not_started_goes_back_at_once() -> None:
    assert released(look(owned(), SCHEDULED, RUNNING)) == {"scheduled": "give_back"}


def test_the_wait_counts_from_this_operators_own_first_sight() -> None:
    repair = look(owned(), RUNNING, now=100, absent_since=90)

    assert repair.again == FENCED - 10


@pytest.mark.parametrize(("waited", "over"), [(FENCED - 1, False), (FENCED, True)])
def test_after_fence_time_and_margin_the_batch_is_over(waited: float, over: bool) -> None:
    repair = look(owned(), RUNNING, now=10 + waited, absent_since=10)

    assert (repair.end is not None) is over
    assert released(repair) == ({"running": "charge PodDeleted"} if over else {})


def test_another_pod_says_nothing_about_the_owner() -> None:
    twin = ended_pod(name="tb-1-other")

    repair = look(owned(), RUNNING, pods=(twin,))

    assert (repair.release, repair.absent) == ((), True)


# Its node can't be reached


def test_a_deleted_pod_may_end_in_its_own_time() -> None:
    going = pod(deleted=60)

    repair = look(owned(going), SCHEDULED, RUNNING, pods=(going,), now=130)

    assert (repair.release, repair.absent) == ((), False)


def test_once_its_token_is_dead_it_counts_as_missing() -> None:
    going = pod(deleted=60)

    repair = look(owned(going), SCHEDULED, RUNNING, pods=(going,), now=131)

    assert (released(repair), repair.end, repair.absent) == ({"scheduled": "give_back"}, None, True)


def test_after_the_fence_too_it_is_lost() -> None:
    going = pod(deleted=60)

    repair = look(owned(going), RUNNING, pods=(going,), now=131 + FENCED, absent_since=131)

    assert released(repair) == {"running": "charge PodDeleted"}
    assert repair.end is not None


# A runner outside of the cluster has no pod to look for


def test_a_runner_outside_of_the_cluster_is_trusted_for_a_batchs_time() -> None:
    outside = owned(podName="local-abc")

    repair = look(outside, SCHEDULED, RUNNING, now=7199)

    assert (repair.release, repair.absent) == ((), False)


def test_and_then_it_is_taken_for_lost_like_any_other() -> None:
    outside = owned(podName="local-abc")
    running = job("running", phase="Running", batch="tb-1", pod="local-abc", attempt=1)

    assert look(outside, running, now=7201).absent
    assert released(look(outside, running, now=7300, absent_since=7201)) == {"running": "charge PodDeleted"}
