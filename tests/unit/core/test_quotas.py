"""TestJobs beyond what their org may have in the line."""

from __future__ import annotations

import pytest

from testqueue.core.actions import ExplainJob, RefuseJob

from .objects import job, target
from .planning import Scene

WAIT = {"orgs": [{"orgId": "one", "maxWaiting": 2}]}
CANCEL = {**WAIT, "overQuota": "Cancel"}


def refused(scene: Scene, now: float = 10) -> list[str]:
    return sorted(each.job.name for each in scene.plan(now).actions if isinstance(each, RefuseJob))


def told(scene: Scene, now: float = 10) -> list[str]:
    return sorted(each.job.name for each in scene.plan(now).actions if isinstance(each, ExplainJob))


def test_the_newest_are_one_too_many_however_urgent() -> None:
    jobs = [job(name, org="one", created=age, priority=1 + age) for age, name in enumerate("abcd")]

    assert refused(Scene(target(parallelism=0, fairness=CANCEL), *jobs)) == ["c", "d"]
    assert told(Scene(target(parallelism=0, fairness=WAIT), *jobs)) == ["c", "d"]


def test_what_comes_into_a_batch_does_not_wait() -> None:
    jobs = [job(name, org="one") for name in "abcd"]

    assert refused(Scene(target(fairness=CANCEL), *jobs)) == []


def test_other_orgs_have_no_such_quota() -> None:
    jobs = [job(name, org="two") for name in "abcd"]

    assert refused(Scene(target(parallelism=0, fairness=CANCEL), *jobs)) == []


def test_the_unlisted_may_have_a_quota_each() -> None:
    fairness = {"unlisted": {"maxWaiting": 1}, "overQuota": "Cancel"}
    jobs = [job(f"{org}-{number}", org=org, created=number) for org in ("x", "y") for number in range(2)]

    assert refused(Scene(target(parallelism=0, fairness=fairness), *jobs)) == ["x-1", "y-1"]


def test_what_has_run_before_is_not_refused() -> None:
    jobs = [job("a", org="one"), job("b", org="one"), job("c", org="one", created=1, attempt=1)]

    assert refused(Scene(target(parallelism=0, fairness=CANCEL), *jobs)) == ["b"]


@pytest.mark.parametrize("again", [10.5, 11.0])
def test_nobody_is_told_twice(again: float) -> None:
    scene = Scene(target(parallelism=0, fairness=WAIT), *(job(name, org="one") for name in "abc"))
    assert told(scene) == ["c"]

    scene.know(job("c", org="one", reason="QuotaExceeded"))

    assert told(scene, again) == []


def test_a_failed_refusal_is_planned_again() -> None:
    scene = Scene(target(parallelism=0, fairness=CANCEL), *(job(name, org="one") for name in "abc"))

    assert [refused(scene, now) for now in (10, 10.5, 11)] == [["c"], [], ["c"]]
