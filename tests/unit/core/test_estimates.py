"""How long things are expected to take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testqueue.core.estimates import (
    DEFAULT_INSTALL_SECONDS,
    DEFAULT_TEST_SECONDS,
    HALF_LIFE_SECONDS,
    Estimates,
)
from testqueue.core.model import Key, LastRun

from .objects import NAMESPACE, NOW, at, batch, job, metadata

PHONES = Key(NAMESPACE, "phones")


def ran(name: str, seconds: float, outcome: str = "passed") -> dict[str, Any]:
    return {"name": name, "test": f"{name}.spec.ts", "outcome": outcome, "seconds": seconds}


def learned(*batches: list[dict[str, Any]], install: float | None = 3.0) -> Estimates:
    estimates = Estimates()
    for tests in batches:
        estimates.learn(batch(phase="Completed", installSeconds=install, tests=tests))
    return estimates


def test_before_anything_ran_there_are_defaults() -> None:
    estimates = Estimates()

    assert estimates.install(PHONES) == DEFAULT_INSTALL_SECONDS
    assert estimates.test(job()) == DEFAULT_TEST_SECONDS


def test_a_test_is_expected_to_take_the_mean_of_its_runs() -> None:
    assert learned([ran("login", 4)], [ran("login", 6)]).test(job("login")) == pytest.approx(5, abs=0.01)


def test_a_run_of_half_a_life_before_weighs_half() -> None:
    estimates = Estimates()
    for moment, seconds in ((0.0, 3), (HALF_LIFE_SECONDS, 6)):
        estimates.learn(batch(phase="Completed", finishTime=at(moment), tests=[ran("login", seconds)]))

    assert estimates.test(job("login")) == 5


@given(
    runs=st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from("ab"), st.floats(0.1, 900)), min_size=1, max_size=80
    ),
    data=st.data(),
)
def test_the_order_of_learning_makes_no_difference(
    runs: list[tuple[int, str, float]], data: st.DataObject
) -> None:
    batches = [
        batch(
            f"tb-{index}",
            phase="Completed",
            finishTime=at(moment),
            installSeconds=seconds,
            tests=[ran(name, seconds)],
        )
        for index, (moment, name, seconds) in enumerate(runs)
    ]
    found = set()
    for order in (batches, data.draw(st.permutations(batches))):
        estimates = Estimates()
        for each in order:
            estimates.learn(each)
        told = (estimates.test(job("a")), estimates.test(job("b")), estimates.test(job("new")))
        found.add((*(round(each, 2) for each in told), estimates.install(PHONES)))

    assert len(found) == 1


def test_an_unknown_test_takes_the_median_of_its_target() -> None:
    assert learned([ran("a", 1), ran("b", 2), ran("c", 90)]).test(job("new")) == 2


def test_another_targets_tests_say_nothing() -> None:
    assert learned([ran("login", 4)]).test(job("login", target="tablets")) == DEFAULT_TEST_SECONDS


def test_an_infrastructure_failure_says_nothing_about_a_test() -> None:
    assert learned([ran("login", 900, "infrastructure")]).test(job("login")) == DEFAULT_TEST_SECONDS


def test_a_batch_that_did_not_install_says_nothing_about_installs() -> None:
    assert learned([], install=None).install(PHONES) == DEFAULT_INSTALL_SECONDS


def test_old_durations_are_forgotten() -> None:
    estimates = learned([ran("slow", 100)], *([ran("quick", 1)] for _ in range(60)))

    assert estimates.test(job("new")) == 1


def run(seconds: float, *, ended: float = 100, test: str = "login.spec.ts") -> LastRun:
    return LastRun(NOW + ended, PHONES, test, seconds)


def test_a_test_of_which_no_batch_tells_takes_what_its_last_run_took() -> None:
    estimates = Estimates()
    for each in (run(7, ended=200), run(4)):
        estimates.remember(each)

    assert estimates.test(job("login")) == 7


def test_what_batches_tell_is_finer() -> None:
    estimates = learned([ran("login", 0.2)])
    estimates.remember(run(1))

    assert estimates.test(job("login")) == 0.2


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        ([("passed", 0, 8)], 8),
        ([("failed", 0, 8), ("passed", 60, 66)], 6),
        ([("passed", 0, 8), ("infrastructure", 60, 900)], 8),
        ([("passed", 0, 0)], 0.5),
    ],
)
def test_a_last_run_is_one_that_came_to_a_result(
    attempts: list[tuple[str, int, int]], seconds: float
) -> None:
    told = [
        {"outcome": outcome, "startTime": at(began), "finishTime": at(ended)}
        for outcome, began, ended in attempts
    ]
    obj = {
        "metadata": metadata("login"),
        "spec": {"target": "phones", "test": "t"},
        "status": {"attempts": told},
    }
    found = LastRun.from_object(obj)

    assert found is not None
    assert found.seconds == seconds


def test_who_never_ran_has_no_last_run() -> None:
    assert LastRun.from_object({"metadata": metadata("a"), "spec": {"target": "phones", "test": "t"}}) is None
