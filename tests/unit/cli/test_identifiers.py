"""Job ids."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from qgjob.cli import checks
from qgjob.cli.identifiers import JobIds, for_test


@given(
    st.lists(st.floats(min_value=1.7e9, max_value=3e10), min_size=2, max_size=20),
    st.binary(min_size=4, max_size=4),
)
def test_ids_sort_in_the_order_in_which_they_were_made(times: list[float], chance: bytes) -> None:
    clock = iter(times)  # goes back now and then, as clocks do
    ids = JobIds(lambda: next(clock), lambda _: chance)

    made = [ids.next() for _ in times]

    assert made == sorted(set(made))


@given(st.floats(min_value=1.7e9, max_value=3e10), st.binary(min_size=4, max_size=4))
def test_an_id_is_fit_for_kubernetes(now: float, chance: bytes) -> None:
    job_id = JobIds(lambda: now, lambda _: chance).next()

    assert len(job_id) == 14
    assert re.match(checks.OBJECT_NAME, job_id)


def test_later_ids_sort_after_earlier_ones() -> None:
    early = JobIds(lambda: 1_800_000_000.0, lambda _: b"\xff" * 4).next()
    late = JobIds(lambda: 1_800_000_000.001, lambda _: b"\x00" * 4).next()

    assert early < late


def test_the_id_of_one_of_several_tests_hangs_on_its_path() -> None:
    assert for_test("ci-42", "tests/a.spec.ts") == for_test("ci-42", "tests/a.spec.ts")
    assert for_test("ci-42", "tests/a.spec.ts") != for_test("ci-42", "tests/b.spec.ts")
    assert for_test("ci-42", "tests/a.spec.ts").startswith("ci-42-")
