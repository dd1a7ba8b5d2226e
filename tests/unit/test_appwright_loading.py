"""Errors of files that can't be loaded, where a test has chosen them."""

from __future__ import annotations

import time

import pytest

from testrunner.appwright.loading import configuration_problem, file_problem


@pytest.mark.parametrize(
    "error",
    ["ReferenceError: a" + "\n" * 100_000, "SyntaxError: a: " * 10_000, "Error: a\n" + " at /" * 20_000],
    ids=["lines", "syntax errors", "places"],
)
def test_an_endless_error_holds_the_runner_up_for_no_time(error: str) -> None:
    began = time.monotonic()

    file_problem(error)
    configuration_problem(error, lambda text: text.replace("a", "b"), own="own.ts")

    assert time.monotonic() - began < 5


def test_the_code_around_an_error_is_left_out() -> None:
    error = "ReferenceError: cart is not defined\n\n  > 3 | cart.open()\n      | ^\n    at a.spec.ts:3:1"

    assert file_problem(error) == "ReferenceError: cart is not defined"
