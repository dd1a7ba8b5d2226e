"""The batch protocol, searched exhaustively within small bounds: it holds, and every one of its rules is needed."""

from __future__ import annotations

import pytest

from .protocol.rules import RULES, Bounds, Rules
from .protocol.search import Search

#: Where leaving a rule out shows; one device and one fault of any kind unless said otherwise.
SHOWN_BY = {
    # On one device the attempts of a TestJob come one after another: without one they can meet.
    "tested_patches": Bounds(device=False, faults=1),
    "look_after_lost_answer": Bounds(device=False, faults=2, kinds=frozenset({"lost answer", "cut off"})),
}


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(Bounds(faults=2), id="any two faults"),
        pytest.param(Bounds(faults=1, device=False), id="batches side by side"),
        pytest.param(Bounds(faults=1, outcomes=("passed", "failed")), id="tests that fail"),
    ],
)
def test_no_order_of_steps_and_faults_runs_a_test_twice_or_loses_it(bounds: Bounds) -> None:
    found = Search(Rules(), bounds).run()

    print(found)
    assert not found.violation, found


@pytest.mark.parametrize("rule", RULES)
def test_without_any_one_rule_it_does(rule: str) -> None:
    found = Search(Rules(**{rule: False}), SHOWN_BY.get(rule, Bounds(faults=1))).run()

    print(found)
    assert found.violation, f"{rule} is not needed within these bounds"
