"""Whose turn it is where several orgs wait, and who rides along."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testqueue.core.model import JobView, Key

from .objects import NAMESPACE, job, made, target
from .planning import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

PHONES = Key(NAMESPACE, "phones")


def lot(org: str, count: int, *, app: str = "", **options: Any) -> list[JobView]:
    """TestJobs of an org, each org with an app version of its own unless it is given."""
    return [
        job(f"{org}-{number:03d}", app=app or f"app-{org}", org=org, **options) for number in range(count)
    ]


def orgs(scene: Scene, now: float = 10) -> list[str]:
    """Whose the new batches are."""
    return [batch.jobs[0].org for batch in scene.created(now)]


def serve(scene: Scene, turns: int, *, since: int = 10, seconds: Callable[[str], float]) -> Counter[str]:
    """So many batches one after another in one slot, a minute after the other: device seconds by org."""
    had: Counter[str] = Counter()
    for now in range(since, since + 60 * turns, 60):
        (batch,) = scene.created(now=now)
        each = seconds(batch.jobs[0].org)
        tests = results(batch.jobs, each)
        over = made(batch, created=now, phase="Completed", pod="p", installSeconds=0, tests=tests)
        scene.know(over)
        for one in batch.jobs:
            had[one.org] += each
            scene.store.jobs.remove(one)
    return had


def alike(org: str) -> float:
    """All tests take 10 s."""
    return 10.0


def results(jobs: tuple[JobView, ...], seconds: float) -> list[dict[str, Any]]:
    return [{"name": one.name, "test": one.test, "outcome": "passed", "seconds": seconds} for one in jobs]


def test_slots_are_given_to_orgs_in_turn_whoever_has_submitted_more() -> None:
    scene = Scene(target(parallelism=4), *lot("flood", 400), *lot("small", 100, created=5))

    assert sorted(orgs(scene)) == ["flood", "flood", "small", "small"]


def test_priority_does_not_help_against_another_org() -> None:
    scene = Scene(target(parallelism=2), *lot("loud", 100, priority=10), *lot("quiet", 100, priority=1))

    assert sorted(orgs(scene)) == ["loud", "quiet"]


def test_within_an_org_the_most_urgent_goes_first_whatever_the_app_version() -> None:
    scene = Scene(
        target(parallelism=2),
        job("a", org="one", app="v1", priority=3),
        job("b", org="one", app="v2", priority=9),
        job("c", org="two", app="v3", priority=1),
    )

    assert scene.batches() == [["b"], ["c"]]


def test_of_orgs_that_stand_alike_the_more_urgent_testjob_is_first() -> None:
    scene = Scene(
        target(parallelism=2), job("a", org="one", app="v1"), job("b", org="two", app="v2", priority=7)
    )

    assert orgs(scene) == ["two", "one"]


def test_device_time_is_shared_by_weight() -> None:
    fairness = {"orgs": [{"orgId": "big", "weight": 3}]}
    pool = target(parallelism=1, fairness=fairness, batch={"maxTests": 3})
    had = serve(Scene(pool, *lot("big", 120), *lot("small", 120)), turns=40, seconds=alike)

    assert had["big"] == pytest.approx(3 * had["small"], rel=0.1)


def test_what_a_batch_took_counts_not_what_was_expected() -> None:
    """One org's tests take four times as long as the other's, which nobody knew before."""
    scene = Scene(target(parallelism=1, batch={"maxTests": 2}), *lot("long", 60), *lot("short", 60))
    had = serve(scene, turns=30, seconds=lambda org: 40.0 if org == "long" else 10.0)

    assert abs(had["long"] - had["short"]) <= 80


def test_who_was_away_has_saved_nothing() -> None:
    scene = Scene(target(parallelism=1, batch={"maxTests": 3}), *lot("busy", 200))
    serve(scene, turns=20, seconds=alike)

    scene.know(*lot("fresh", 100, created=1200))

    had = serve(scene, turns=20, since=1210, seconds=alike)
    assert abs(had["fresh"] - had["busy"]) <= 60


def test_a_new_id_for_each_batch_gains_nothing() -> None:
    scene = Scene(target(parallelism=1, batch={"maxTests": 3}), *lot("honest", 200))
    had: Counter[str] = Counter()
    for turn in range(40):
        if scene.store.waiting_at(PHONES) == scene.store.waiting_of(PHONES, "honest"):
            scene.know(*lot(f"cheat-{turn}", 3, created=5 + 60 * turn))
        had += serve(scene, turns=1, since=10 + 60 * turn, seconds=alike)
    cheat = sum(seconds for org, seconds in had.items() if org != "honest")

    assert cheat <= had["honest"]


def test_strangers_may_share_one_weight() -> None:
    fairness = {"orgs": [{"orgId": "known"}], "unlisted": {"shared": True}}
    strangers = [one for number in range(20) for one in lot(f"id-{number:02d}", 20)]
    pool = target(parallelism=1, fairness=fairness, batch={"maxTests": 3})
    had = serve(Scene(pool, *lot("known", 200), *strangers), turns=30, seconds=alike)

    assert abs(had["known"] / had.total() - 0.5) < 0.1


def test_a_new_operator_finds_all_accounts_in_the_batches() -> None:
    pool = target(parallelism=1, batch={"targetSeconds": 30})
    jobs = [*lot("one", 60), *lot("two", 60), *lot("three", 60)]
    scene = Scene(pool, *jobs)
    serve(scene, turns=7, seconds=alike)
    left, batches = list(scene.store.jobs), list(scene.store.batches)

    anew = Scene(pool, *reversed(batches), *reversed(left))

    assert anew.batches(now=900) == scene.batches(now=900)


def test_a_turn_is_about_the_target_time_while_others_wait() -> None:
    pool = target(parallelism=1, batch={"targetSeconds": 40})
    alone, contended = Scene(pool, *lot("one", 40)), Scene(pool, *lot("one", 40), *lot("two", 1))

    assert [len(batch) for batch in alone.batches()] == [40]
    assert [len(batch.jobs) for batch in contended.created() if batch.jobs[0].org == "one"] in ([], [6])


def test_another_orgs_testjobs_of_the_same_app_version_ride_along() -> None:
    scene = Scene(target(), *lot("one", 1, app="v"), *lot("two", 2, app="v"))

    assert [sorted(batch) for batch in scene.batches()] == [["one-000", "two-000", "two-001"]]


def test_they_ride_no_further_than_the_opener_stands_then() -> None:
    """Its test takes 5 s, and its install 10 s."""
    scene = Scene(target(parallelism=1), *lot("one", 1, app="v"), *lot("flood", 90, app="v", created=1))

    (batch,) = scene.created()

    assert Counter(one.org for one in batch.jobs) == {"one": 1, "flood": 3}


def test_strangers_that_share_a_weight_share_batches_too() -> None:
    pool = target(fairness={"unlisted": {"shared": True}})
    scene = Scene(pool, *lot("one", 3, app="v"), *lot("two", 3, app="v"))

    assert [len(batch) for batch in scene.batches()] == [6]


def test_isolated_orgs_share_no_batch() -> None:
    pool = target(parallelism=2, batch={"isolateOrgs": True})
    scene = Scene(pool, *lot("one", 1, app="v"), *lot("two", 2, app="v"))

    assert sorted(map(sorted, scene.batches())) == [["one-000"], ["two-000", "two-001"]]


def test_each_org_pays_for_its_tests_and_the_opener_for_the_install() -> None:
    scene = Scene(target(), *lot("one", 1, app="v"), *lot("two", 2, app="v"))
    (batch,) = scene.created()

    running = made(batch, phase="Running", pod="p")
    over = made(batch, phase="Completed", pod="p", installSeconds=7, tests=results(batch.jobs[:2], 4))

    assert dict(running.costs) == {"one": 15, "two": 10}
    assert dict(over.costs) == {"one": 11, "two": 4}


def test_an_install_that_failed_had_the_device_too() -> None:
    (batch,) = Scene(target(), *lot("one", 1)).created()

    failed = made(batch, phase="Failed", startTime="2026-11-24T08:00:00Z", finishTime="2026-11-24T08:02:00Z")

    assert dict(failed.costs) == {"one": 120}


def test_no_more_batches_of_an_org_than_its_quota() -> None:
    fairness = {"orgs": [{"orgId": "one", "maxRunning": 1}]}
    scene = Scene(target(parallelism=4, fairness=fairness), *lot("one", 400), *lot("two", 400))

    assert Counter(orgs(scene)) == {"one": 1, "two": 3}


def test_a_batch_that_runs_counts_for_the_quota() -> None:
    fairness = {"unlisted": {"maxRunning": 1}}
    scene = Scene(target(parallelism=2, fairness=fairness), *lot("one", 400))
    (batch,) = scene.created()

    scene.know(made(batch, phase="Running", pod="p"))

    assert scene.batches() == []


def test_whoever_is_at_its_quota_rides_in_no_other_orgs_batch() -> None:
    fairness = {"orgs": [{"orgId": "two", "maxRunning": 0}]}
    scene = Scene(target(fairness=fairness), *lot("one", 1, app="v"), *lot("two", 2, app="v"))

    assert scene.batches() == [["one-000"]]


@given(st.data())
def test_the_order_of_events_makes_no_difference(data: st.DataObject) -> None:
    """Old and new views of TestJobs and batches, in any order: the same batches follow."""
    pool = target(parallelism=2, batch={"maxTests": 3}, fairness={"orgs": [{"orgId": "b", "weight": 2}]})
    events: list[Any] = [
        job(
            f"{org}-{number}", org=org, app=data.draw(st.sampled_from(["v1", "v2"])), priority=number % 10 + 1
        )
        for org in "abc"
        for number in range(data.draw(st.integers(1, 9)))
    ]
    scene = Scene(pool, *events)
    for turn in range(data.draw(st.integers(0, 3))):
        for batch in scene.created(now=60 * turn + 10):
            claims = [
                job(
                    one.name,
                    org=one.org,
                    app=one.app_version_id,
                    phase="Running",
                    batch=batch.name,
                    attempt=1,
                )
                for one in batch.jobs
            ]
            running = made(batch, created=60 * turn + 10, phase="Running", pod="p")
            over = made(
                batch,
                created=60 * turn + 10,
                phase="Completed",
                pod="p",
                installSeconds=3,
                tests=results(batch.jobs, data.draw(st.floats(0.1, 99))),
            )
            news = [*claims, running, *([over] if data.draw(st.booleans()) else [])]
            scene.know(*news)
            events += news

    other = Scene(*data.draw(st.permutations([pool, *events])))

    def plan(each: Scene) -> list[Any]:
        return [(batch.jobs, batch.seconds, batch.turn) for batch in each.created(now=600)]

    assert plan(other) == plan(scene)
