"""A batch that no runner has taken yet: it is starting, or it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .objects import batch, ended_pod, kube_job, pod
from .recovering import RUNNING, SCHEDULED, look, released

if TYPE_CHECKING:
    from testqueue.core.model import PodView


def waiting(reason: str, message: str = "no such image") -> PodView:
    return pod(phase="Pending", state={"waiting": {"reason": reason, "message": message}})


def unscheduled(message: str = "0/1 nodes are available") -> PodView:
    condition: dict[str, Any] = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }
    return pod(phase="Pending", state={}, conditions=[condition])


def test_no_pod_yet_is_not_pod_gone() -> None:
    repair = look(batch(), SCHEDULED, kube_job=kube_job(), now=200)

    assert (repair.release, repair.end, repair.absent) == ((), None, False)


def test_a_testjob_that_runs_proves_that_a_runner_came_in_between() -> None:
    """The batch was read first: what it says is older than what its TestJobs say."""
    repair = look(batch(), RUNNING, SCHEDULED, kube_job=kube_job(), now=301)

    assert (repair.release, repair.end, repair.delete_job) == ((), None, False)


# Why it does not start


def test_an_image_that_cannot_be_pulled_is_said_at_once() -> None:
    repair = look(batch(), SCHEDULED, pods=(waiting("ErrImagePull"),), kube_job=kube_job())

    assert repair.explain == ("ErrImagePull", "no such image")
    assert repair.release == ()


@pytest.mark.parametrize("said", ["ErrImagePull", "ImagePullBackOff"])
def test_the_kubelets_two_words_for_it_are_said_once(said: str) -> None:
    repair = look(batch(reason=said), pods=(waiting("ImagePullBackOff"),), kube_job=kube_job())

    assert repair.explain is None


def test_another_problem_is_said_instead() -> None:
    repair = look(batch(reason="Unschedulable"), pods=(waiting("ErrImagePull"),), kube_job=kube_job(), now=20)

    assert repair.explain == ("ErrImagePull", "no such image")


def test_a_node_may_be_on_its_way() -> None:
    assert look(batch(), pods=(unscheduled(),), kube_job=kube_job(), now=9).explain is None


def test_a_pod_that_no_node_takes_is_said_within_seconds() -> None:
    repair = look(batch(), pods=(unscheduled(),), kube_job=kube_job(), now=10)

    assert repair.explain == ("Unschedulable", "0/1 nodes are available")


def test_the_schedulers_next_count_of_nodes_is_no_news() -> None:
    repair = look(batch(reason="Unschedulable"), pods=(unscheduled("0/2"),), kube_job=kube_job(), now=60)

    assert repair.explain is None


# It did not start in time


def test_after_the_start_timeout_each_testjob_is_charged_once_and_the_pod_ends() -> None:
    repair = look(batch(), SCHEDULED, pods=(waiting("ImagePullBackOff"),), kube_job=kube_job(), now=301)

    assert released(repair) == {"scheduled": "charge ImagePullBackOff"}
    assert repair.end == ("ImagePullBackOff", "no runner within 300 s: no such image")
    assert repair.delete_job


def test_what_events_said_before_is_the_reason_where_there_is_no_pod() -> None:
    found = batch(reason="QuotaExceeded", message="exceeded quota: pods=0")

    repair = look(found, SCHEDULED, kube_job=kube_job(), now=301)

    assert repair.end == ("QuotaExceeded", "no runner within 300 s: exceeded quota: pods=0")


def test_without_any_reason_it_is_a_start_timeout() -> None:
    repair = look(batch(), SCHEDULED, kube_job=kube_job(), now=301)

    assert repair.end == ("StartTimeout", "no runner within 300 s")


def test_the_time_counts_from_the_job_where_that_came_late() -> None:
    late = kube_job(created=200)

    assert look(batch(), SCHEDULED, kube_job=late, now=500).end is None
    assert look(batch(), SCHEDULED, kube_job=late, now=501).end is not None


def test_a_job_that_was_never_made_needs_no_deletion() -> None:
    repair = look(batch(reason="JobRefused", message="forbidden"), SCHEDULED, now=301)

    assert (repair.delete_job, released(repair)) == (False, {"scheduled": "charge JobRefused"})


# Its pod ended without having taken it


def test_a_runner_that_ended_before_it_took_the_batch_charges_each_testjob() -> None:
    repair = look(batch(), SCHEDULED, pods=(ended_pod(),), kube_job=kube_job())

    assert released(repair) == {"scheduled": "charge PodFailed"}
    assert repair.end is not None


def test_an_eviction_before_that_charges_nobody() -> None:
    repair = look(batch(), SCHEDULED, pods=(ended_pod(reason="Evicted"),), kube_job=kube_job())

    assert released(repair) == {"scheduled": "give_back"}
    assert repair.end is not None
    assert repair.end[0] == "Evicted"


def test_a_second_pod_that_is_alive_may_still_take_it() -> None:
    repair = look(batch(), SCHEDULED, pods=(ended_pod(), pod("tb-1-other")), kube_job=kube_job())

    assert (repair.release, repair.end) == ((), None)


def test_a_pod_that_someone_deleted_before_that_charges_nobody() -> None:
    repair = look(batch(), SCHEDULED, kube_job=kube_job(ended="Failed", message="it has failed"))

    assert released(repair) == {"scheduled": "give_back"}
    assert repair.end == ("PodDeleted", "it has failed")
