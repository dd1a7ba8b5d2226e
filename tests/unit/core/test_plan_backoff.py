"""A group whose batch failed as a whole waits, so that its other TestJobs don't meet the same fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .objects import NOW, at, batch, job, target
from .planning import Scene

if TYPE_CHECKING:
    from testqueue.core.model import BatchView

CHARGED = job("charged", phase="Retrying", batch="tb-1", nextAttemptTime=at(60), infrastructureFailures=1)


def failed(**status: Any) -> BatchView:
    """A batch that charged its TestJob and ended before its first test, at NOW."""
    return batch(
        "tb-1",
        (job("charged"),),
        **{"phase": "Failed", "pod": "p", "finishTime": at(0), "infrastructure": 1, **status},
    )


def test_the_rest_of_the_group_waits_for_the_first_that_was_charged() -> None:
    scene = Scene(target(), CHARGED, failed(), job("other"))

    assert scene.batches(now=59) == []
    assert scene.batches(now=60) == [["charged", "other"]]


def test_a_pass_is_wanted_at_the_end_of_the_wait() -> None:
    scene = Scene(target(), failed(), job("other"))

    assert scene.plan(now=58).look_again == NOW + 60


def test_another_group_goes_on() -> None:
    scene = Scene(target(), CHARGED, failed(), job("other", app="shop-2"))

    assert scene.batches() == [["other"]]


def test_where_nobody_is_left_to_retry_the_rest_waits_for_the_first_backoff() -> None:
    scene = Scene(target(retry={"backoffSeconds": 30}), failed(), job("other"))

    assert scene.batches(now=29) == []
    assert scene.batches(now=30) == [["other"]]


def test_a_batch_that_ran_tests_holds_nobody() -> None:
    assert Scene(target(), failed(installSeconds=4.0), job("other")).batches() == [["other"]]


def test_an_eviction_holds_nobody() -> None:
    assert Scene(target(), failed(infrastructure=0, reason="Evicted"), job("other")).batches() == [["other"]]


def test_a_submitters_mistake_holds_nobody() -> None:
    unknown = failed(infrastructure=0, failed=1, reason="AppVersionNotFound")

    assert Scene(target(), unknown, job("other")).batches() == [["other"]]


def test_a_later_batch_that_went_well_ends_the_wait() -> None:
    well = batch("tb-2", phase="Completed", pod="q", finishTime=at(5), installSeconds=3.0)

    assert Scene(target(), failed(), well, job("other")).batches() == [["other"]]


def test_a_batch_that_went_well_before_does_not() -> None:
    well = batch("tb-2", phase="Completed", pod="q", finishTime=at(-5), installSeconds=3.0)

    assert Scene(target(), failed(), well, job("other")).batches() == []


def test_once_the_failed_batch_is_deleted_nothing_is_held() -> None:
    scene = Scene(target(), failed(), job("other"))

    scene.store.batches.remove(failed())

    assert scene.batches() == [["other"]]


def test_the_first_of_several_that_were_charged_counts() -> None:
    later = job("later", phase="Retrying", batch="tb-1", nextAttemptTime=at(120), infrastructureFailures=2)
    both = batch(
        "tb-1",
        (job("charged"), job("later")),
        phase="Failed",
        pod="p",
        finishTime=at(0),
        infrastructure=2,
    )
    scene = Scene(target(), CHARGED, later, both, job("other"))

    assert scene.batches(now=60) == [["charged", "other"]]
