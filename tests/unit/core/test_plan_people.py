"""What people ask for: cancel, replay, and a target that does not exist."""

from __future__ import annotations

import pytest

from testqueue.core.actions import Action, CancelJob, ReplayJob

from .objects import at, job, target
from .planning import Scene


def asked(scene: Scene) -> list[type[Action]]:
    return [type(each) for each in scene.plan().actions if isinstance(each, CancelJob | ReplayJob)]


@pytest.mark.parametrize("phase", ["Pending", "Retrying", "Scheduled"])
def test_what_no_runner_has_is_cancelled_by_the_operator(phase: str) -> None:
    assert asked(Scene(job(spec={"cancel": True}, phase=phase))) == [CancelJob]


@pytest.mark.parametrize("phase", ["Running", "DeadLettered", "Cancelled"])
def test_the_rest_is_the_runners_or_over(phase: str) -> None:
    assert asked(Scene(job(spec={"cancel": True}, phase=phase))) == []


@pytest.mark.parametrize("later", [None, 60])
def test_what_is_to_be_cancelled_is_in_no_batch(later: float | None) -> None:
    status = {"phase": "Retrying", "nextAttemptTime": at(later)} if later else {}
    scene = Scene(target(), job(**status))

    scene.know(job(spec={"cancel": True}, **status))

    assert scene.batches(now=100) == []


def test_a_dead_letter_is_replayed_when_its_replays_were_counted_up() -> None:
    assert asked(Scene(job(spec={"replays": 1}, phase="DeadLettered"))) == [ReplayJob]


def test_each_count_is_replayed_once() -> None:
    assert asked(Scene(job(spec={"replays": 1}, phase="DeadLettered", observedReplays=1))) == []


@pytest.mark.parametrize("phase", ["Pending", "Scheduled", "Running", "Retrying"])
def test_a_replay_of_what_is_not_dead_does_nothing(phase: str) -> None:
    assert asked(Scene(job(spec={"replays": 1}, phase=phase))) == []


def test_a_cancelled_dead_letter_stays_dead() -> None:
    assert asked(Scene(job(spec={"replays": 1, "cancel": True}, phase="DeadLettered"))) == []


# A target that does not exist


def test_a_testjob_without_its_target_is_told_so() -> None:
    assert Scene(job("a", target="fones")).explained() == {
        "a": (
            "TargetNotFound",
            "there is no TestTarget 'fones' in namespace 'team': create it, or submit to another",
        )
    }


def test_it_is_told_once() -> None:
    scene = Scene(job("a", target="fones"))
    scene.plan()

    scene.know(job("a", target="fones", reason="TargetNotFound"))

    assert scene.explained() == {}


def test_it_is_told_again_where_telling_failed() -> None:
    scene = Scene(job("a", target="fones"))

    assert list(scene.explained()) == list(scene.explained()) == ["a"]


def test_another_that_comes_later_is_told_too() -> None:
    scene = Scene(job("a", target="fones", reason="TargetNotFound"))
    scene.plan()

    scene.know(job("b", target="fones"))

    assert list(scene.explained()) == ["b"]


def test_a_target_that_is_applied_together_with_its_testjobs_gets_a_moment() -> None:
    scene = Scene(job("a", target="fones", created=9))

    assert scene.explained(now=10) == {}
    assert list(scene.explained(now=13)) == ["a"]


def test_it_runs_by_itself_once_the_target_exists() -> None:
    scene = Scene(job("a", target="fones", reason="TargetNotFound"))

    scene.know(target("fones"))

    assert scene.batches() == [["a"]]
    assert scene.explained() == {}


def test_what_was_said_is_taken_back_where_its_turn_has_not_come() -> None:
    scene = Scene(job("a", target="fones", reason="TargetNotFound"))

    scene.know(target("fones", parallelism=0))

    assert scene.explained() == {"a": ("", "")}


def test_a_target_of_the_same_name_in_another_namespace_is_another() -> None:
    elsewhere = target("fones")
    scene = Scene(job("a", target="fones"))

    scene.know(
        type(elsewhere).from_object(
            {
                "metadata": {"namespace": "other", "name": "fones", "uid": "u", "resourceVersion": "1"},
                "spec": {},
            }
        )
    )

    assert list(scene.explained()) == ["a"]
