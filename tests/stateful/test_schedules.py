"""What the planner's schedules always keep to, on any load, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hack.simulate.loads import Load, Test, common_versions, flood, weights
from hack.simulate.planned import planned
from hack.simulate.rivals import batches_in_order, chosen
from hack.simulate.schedule import device_seconds, jain, overtaken, saturated

if TYPE_CHECKING:
    from collections.abc import Callable

ORGS = ("one", "two", "three", "four")
#: Not shrunk: a load is a hundred draws, and a run of it takes a tenth of a second.
SOME = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@st.composite
def loads(draw: st.DrawFn, most: int = 120, last: int = 600) -> Load:
    """Up to four orgs of different weights, few or many versions, short and long tests, one to five slots."""
    orgs = ORGS[: draw(st.integers(1, len(ORGS)))]
    versions = draw(st.integers(1, 6))
    shared = draw(st.booleans())
    tests = []
    for number in range(draw(st.integers(2, most))):
        org = draw(st.sampled_from(orgs))
        version = f"v{draw(st.integers(1, versions))}"
        tests.append(
            Test(
                name=f"t-{number:03d}",
                org=org,
                app=version if shared else f"{org}-{version}",
                test=f"{org}-{draw(st.integers(0, 9))}.spec.ts",
                priority=draw(st.integers(1, 10)),
                submitted=float(draw(st.integers(0, last))),
                seconds=float(draw(st.integers(1, 40))),
            )
        )
    return Load(
        "any",
        tuple(tests),
        slots=draw(st.integers(1, 5)),
        install_seconds=float(draw(st.integers(0, 30))),
        max_tests=draw(st.integers(1, 20)),
        target_seconds=float(draw(st.integers(20, 120))),
        ageing_seconds=float(draw(st.sampled_from([10, 60, 3600]))),
        weights={org: draw(st.integers(1, 4)) for org in orgs},
    )


@SOME
@given(loads())
def test_every_testjob_runs_once(load: Load) -> None:
    names = [run.test.name for batch in planned(load).batches for run in batch.runs]

    assert sorted(names) == [test.name for test in load.tests]


@SOME
@given(loads())
def test_within_an_org_nobody_is_overtaken_by_whoever_is_less_urgent_by_more_than_a_step(load: Load) -> None:
    assert overtaken(load, planned(load).batches, steps=1.0) == 0


@SOME
@given(loads())
def test_nobody_starves(load: Load) -> None:
    """A TestJob waits at most as long as its org's part of the slots needs for what of the org may go before it."""
    batches = planned(load).batches
    worst = load.start_seconds + load.install_seconds
    longest = max(batch.ended - batch.made for batch in batches)
    made = {run.test.name: batch.made for batch in batches for run in batch.runs}
    for test in load.tests:
        before = [
            each
            for each in load.tests
            if each.org == test.org and load.score(each) <= load.score(test) + load.ageing_seconds
        ]
        part = load.weights[test.org] / sum(load.weights.values())
        work = sum(each.seconds + worst for each in before) / (load.slots * part)
        coming = max(each.submitted for each in before)
        assert coming <= test.submitted + 10 * load.ageing_seconds
        assert made[test.name] <= max(coming, test.submitted) + work + 3 * longest / part


@SOME
@given(loads(last=0))
def test_the_device_time_of_orgs_that_wait_differs_by_some_turns_at_most(load: Load) -> None:
    """However short the time: so many turns as there are slots, and two."""
    batches = planned(load).batches
    since, until = saturated(load, batches)
    had = device_seconds(batches, since, until)
    parts = {org: had[org] / load.weights[org] for org in {test.org for test in load.tests}}
    turn = max(batch.ended - batch.made for batch in batches)

    lightest = min(load.weights[org] for org in parts)
    assert max(parts.values()) - min(parts.values()) <= (load.slots + 2) * turn / lightest


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weighted_shares_are_within_5_percent_under_saturation(seed: int) -> None:
    load = weights(seed)
    batches = planned(load).batches
    had = device_seconds(batches, *saturated(load, batches))

    for org, weight in load.weights.items():
        assert had[org] / had.total() == pytest.approx(weight / 8, rel=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("trace", [flood, common_versions])
def test_a_flood_of_60_percent_does_not_drown_the_others_and_each_keeps_its_order(
    trace: Callable[[int], Load], seed: int
) -> None:
    load = trace(seed)
    batches = planned(load).batches
    had = device_seconds(batches, *saturated(load, batches))

    assert jain(had.values()) >= 0.95
    assert overtaken(load, batches, steps=1.0) == 0


def test_a_schedule_that_ignores_orgs_is_told_from_a_fair_one() -> None:
    load = flood(1)
    batches = chosen(load, batches_in_order)

    assert jain(device_seconds(batches, *saturated(load, batches)).values()) < 0.6
    assert overtaken(load, batches, steps=1.0) > 0


@SOME
@given(loads())
def test_an_org_is_done_when_its_part_of_the_slots_would_be_however_much_the_others_submit(
    load: Load,
) -> None:
    """Its last TestJob ends when its part of the slots would have done with its own, and some turns of the others."""
    org = load.tests[0].org
    alone = replace(load, tests=tuple(test for test in load.tests if test.org == org))
    part = load.weights[org] / sum(load.weights.values())
    turn = load.start_seconds + max(load.target_seconds, 2 * load.install_seconds) + 40

    def end(each: Load) -> float:
        return max(
            run.finished for batch in planned(each).batches for run in batch.runs if run.test.org == org
        )

    work = sum(test.seconds + load.start_seconds + load.install_seconds for test in alone.tests)
    assert end(load) <= 600 + work / (load.slots * part) + 3 * turn / part
