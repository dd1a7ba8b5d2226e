"""How long things are expected to take."""

from __future__ import annotations

from typing import Any

from testqueue.core.estimates import DEFAULT_INSTALL_SECONDS, DEFAULT_TEST_SECONDS, Estimates
from testqueue.core.model import Key

from .objects import NAMESPACE, batch, job

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


def test_a_test_is_expected_to_take_what_it_took_last() -> None:
    assert learned([ran("login", 4)], [ran("login", 6)]).test(job("login")) == 6


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
