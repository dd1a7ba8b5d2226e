"""When a batch makes room for somebody more urgent."""

from __future__ import annotations

from typing import Any

import pytest

from testqueue.core.actions import YieldBatch

from .objects import AGEING, at, batch, job, target
from .planning import Scene


def running(name: str = "tb-1", *, left: int = 20, priority: int = 2, **status: Any) -> list[Any]:
    """A batch with a test that runs, and some that it has not started. Tests take 5 s, as far as is known."""
    names = [f"{name}-{number:02d}" for number in range(left + 1)]
    jobs = [
        job(
            each,
            priority=priority,
            phase="Scheduled" if number else "Running",
            batch=name,
            attempt=1,
        )
        for number, each in enumerate(names)
    ]
    told = {"phase": "Running", "pod": "p", "startTime": at(-30), "installSeconds": 10, **status}
    return [*jobs, batch(name, (), created=-30, **told)]


def yielding(scene: Scene, now: float = 0) -> list[str]:
    return [each.batch.name for each in scene.plan(now).actions if isinstance(each, YieldBatch)]


def urgent(**options: Any) -> Any:
    return job("urgent", app="hotfix", **{"priority": 10, **options})


def test_a_long_batch_makes_room_for_somebody_much_more_urgent() -> None:
    assert yielding(Scene(target(parallelism=1), *running(), urgent())) == ["tb-1"]


def test_not_for_less_than_three_steps() -> None:
    assert yielding(Scene(target(parallelism=1), *running(priority=7), urgent())) == ["tb-1"]
    assert yielding(Scene(target(parallelism=1), *running(priority=8), urgent())) == []


def test_waiting_long_counts_like_priority() -> None:
    scene = Scene(target(parallelism=1), *running(priority=5), urgent(priority=5, created=-3 * AGEING))

    assert yielding(scene) == ["tb-1"]


def test_not_while_a_slot_is_free() -> None:
    assert yielding(Scene(target(parallelism=2), *running(), urgent())) == []


def test_not_before_its_install_was_worth_it() -> None:
    scene = Scene(target(parallelism=1), *running(startTime=at(0)), urgent())

    assert [yielding(scene, now) for now in (18, 20)] == [[], ["tb-1"]]


def test_not_while_it_installs() -> None:
    scene = Scene(target(parallelism=1), *running(phase="Installing", installSeconds=None), urgent())

    assert yielding(scene) == []


def test_not_where_a_slot_is_free_soon_anyway() -> None:
    scene = Scene(target(parallelism=2), *running("tb-1"), *running("tb-2", left=1), urgent())

    assert yielding(scene) == []


def test_the_one_with_the_least_urgent_work_yields() -> None:
    scene = Scene(target(parallelism=2), *running("tb-1", priority=3), *running("tb-2", priority=1), urgent())

    assert yielding(scene) == ["tb-2"]


def test_one_at_a_time() -> None:
    scene = Scene(target(parallelism=2), *running("tb-1"), *running("tb-2"), urgent())

    scene.know(batch("tb-2", yields=True, created=-30, phase="Running", pod="p", installSeconds=10))

    assert yielding(scene) == []


def test_only_the_testjob_whose_turn_is_next_makes_others_yield() -> None:
    """An org at its quota has nobody yield, however urgent its TestJobs are."""
    fairness = {"orgs": [{"orgId": "org", "maxRunning": 0}]}

    assert yielding(Scene(target(parallelism=1, fairness=fairness), *running(), urgent())) == []


@pytest.mark.parametrize(("later", "asked"), [(0.5, []), (1.0, ["tb-1"])])
def test_who_did_not_hear_is_asked_again_after_a_while(later: float, asked: list[str]) -> None:
    scene = Scene(target(parallelism=1), *running(), urgent())
    yielding(scene)

    assert yielding(scene, later) == asked
