"""TestJobs whose batch is over, or does not exist."""

from __future__ import annotations

import pytest

from .objects import ended_pod, job, pod
from .recovering import FENCED, OWNER, RUNNING, SCHEDULED, look, owned, released

# The batch is over


def test_what_was_not_started_goes_back() -> None:
    assert released(look(owned(phase="Completed"), SCHEDULED, pods=(OWNER,))) == {"scheduled": "give_back"}


def test_a_result_may_still_be_on_its_way() -> None:
    assert released(look(owned(phase="Completed"), RUNNING, pods=(OWNER,))) == {}


def test_no_result_comes_from_containers_that_have_ended() -> None:
    dead = ended_pod()
    over = owned(dead, phase="Failed", reason="DeviceLost", message="adb: device offline")

    repair = look(over, RUNNING, pods=(dead,))

    assert released(repair) == {"running": "charge DeviceLost"}
    assert repair.release[0].message == "adb: device offline"


def test_a_pod_that_is_not_seen_is_waited_for() -> None:
    repair = look(owned(phase="Completed"), RUNNING)

    assert (released(repair), repair.absent) == ({}, True)


def test_then_its_test_has_an_infrastructure_failure() -> None:
    repair = look(owned(phase="Completed"), RUNNING, now=10 + FENCED, absent_since=10)

    assert released(repair) == {"running": "charge RunnerLost"}


def test_a_batch_that_is_over_is_not_ended_again() -> None:
    dead = ended_pod()

    assert look(owned(dead, phase="Completed"), RUNNING, SCHEDULED, pods=(dead,)).end is None


def test_with_nothing_left_behind_there_is_nothing_to_do() -> None:
    repair = look(owned(phase="Completed"))

    assert (repair.release, repair.end, repair.absent) == ((), None, False)


# The batch does not exist


def test_what_a_deleted_batch_had_not_started_goes_back_at_once() -> None:
    assert released(look(None, SCHEDULED, RUNNING)) == {"scheduled": "give_back"}


def test_what_it_ran_waits_for_the_fence() -> None:
    assert released(look(None, RUNNING, now=9 + FENCED, absent_since=10)) == {}
    assert released(look(None, RUNNING, now=10 + FENCED, absent_since=10)) == {
        "running": "charge BatchDeleted"
    }


def test_its_device_is_free_after_the_fence_and_no_sooner() -> None:
    assert not look(None).gone
    assert not look(None, now=9 + FENCED, absent_since=10).gone
    assert look(None, now=10 + FENCED, absent_since=10).gone


def test_a_pod_that_is_still_being_collected_is_waited_for() -> None:
    repair = look(None, SCHEDULED, RUNNING, pods=(OWNER,), now=1000, absent_since=10)

    assert (released(repair), repair.gone, repair.absent) == ({"scheduled": "give_back"}, False, False)


def test_a_test_whose_pod_has_ended_needs_no_fence() -> None:
    dead = ended_pod(name=RUNNING.pod)

    assert released(look(None, RUNNING, pods=(dead,))) == {"running": "charge BatchDeleted"}


def test_but_another_pods_end_says_nothing() -> None:
    assert released(look(None, RUNNING, pods=(ended_pod(name="tb-1-other"),))) == {}


@pytest.mark.parametrize(("now", "waited_for"), [(130, True), (131, False)])
def test_a_pod_of_a_lost_node_does_not_keep_a_deleted_batch_for_ever(now: float, waited_for: bool) -> None:
    going = pod(deleted=60)

    assert look(None, RUNNING, pods=(going,), now=now).absent is not waited_for


def test_a_testjob_that_is_waiting_again_is_not_touched() -> None:
    """Its status still names the batch in which it ran last."""
    retrying = job("a", phase="Retrying", batch="tb-1")

    assert look(owned(phase="Completed"), retrying).release == ()
    assert look(None, retrying, now=1000, absent_since=10).release == ()
