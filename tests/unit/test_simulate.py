"""The table of schedules, as `make simulate` prints it."""

from __future__ import annotations

import json

import pytest

from hack.simulate.__main__ import main
from hack.simulate.loads import LOADS, Load, Test
from hack.simulate.planned import planned
from hack.simulate.rivals import RIVALS, chosen
from hack.simulate.schedule import bound, jain


def some(**options: float) -> Load:
    """Eight tests of two versions, 10 s each."""
    tests = [Test(f"t-{n}", "one", f"v{n % 2}", f"{n}.spec.ts", 5, 0.0, 10.0) for n in range(8)]
    return Load("some", tuple(tests), slots=2, install_seconds=10, start_seconds=0, **options)  # type: ignore[arg-type]


def test_the_bound_is_all_work_over_all_slots() -> None:
    assert bound(some()) == (8 * 10 + 2 * 10) / 2


@pytest.mark.parametrize(
    ("rival", "end"), [("a Job per test", 80), ("batches of 5", 50), ("FIFO batches", 50)]
)
def test_rivals_install_as_often_as_they_say(rival: str, end: float) -> None:
    assert max(batch.ended for batch in chosen(some(), RIVALS[rival])) == end


def test_the_planner_meets_the_bound_where_that_is_easy() -> None:
    assert max(batch.ended for batch in planned(some()).batches) == bound(some())


def test_jains_index_is_1_for_equals_and_1_over_n_for_one_that_has_all() -> None:
    assert (jain([3, 3, 3]), jain([9, 0, 0])) == (1, pytest.approx(1 / 3))


@pytest.mark.parametrize("load", LOADS)
def test_a_seed_makes_the_same_trace_again(load: object) -> None:
    assert load(7) == load(7) != load(8)  # type: ignore[operator]


def test_figures_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "many-versions"]) == 0

    schedules = json.loads(capsys.readouterr().out)["many versions"]["schedules"]
    assert schedules["qgjob"]["makespan"] <= schedules["FIFO batches"]["makespan"]


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["many-versions"]) == 0

    assert "| qgjob |" in capsys.readouterr().out


def test_an_unknown_trace_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["many-version"])

    assert "choose of few-versions, many-versions" in capsys.readouterr().err
