"""What waiting learns from events."""

from __future__ import annotations

from qgjob.cli.exits import Exit
from qgjob.cli.verdict import classify
from qgjob.cli.waiting import Waiting, counts_line, progress_line, selector_for
from qgjob.client import Changed, Listed, Trouble, Unreachable
from tests.unit.cli import jobs


def waiting(*names: str, fail_fast: bool = False) -> Waiting:
    those = Waiting.for_names(names, fail_fast=fail_fast)
    those.take(Listed([jobs.pending(name) for name in names]))
    return those


def test_it_is_over_when_all_are_over() -> None:
    those = waiting("a", "b")
    those.take(Changed(jobs.passed(jobs.pending("a"))))
    assert not those.over()

    those.take(Changed(jobs.cancelled(jobs.pending("b"))))
    assert those.over()


def test_a_dead_letter_is_waited_for_again_when_it_is_replayed() -> None:
    those = waiting("a")
    dead = jobs.dead(jobs.pending("a"))
    those.take(Changed(dead))
    assert those.over()

    assert those.take(Changed(jobs.replayed(dead))) != []  # told as progress
    assert not those.over()


def test_fail_fast_goes_on_for_a_dead_letter_that_is_replayed() -> None:
    those = waiting("a", "b", fail_fast=True)
    those.take(Changed(jobs.replayed(jobs.dead(jobs.pending("a")))))

    assert not those.over()


def test_fail_fast_ends_at_the_first_that_ends_badly() -> None:
    those = waiting("a", "b", fail_fast=True)
    those.take(Changed(jobs.ended(jobs.pending("a"), "failed")))
    assert not those.over()

    those.take(Changed(jobs.dead(jobs.pending("a"))))
    assert those.over()


def test_fail_fast_goes_on_while_all_is_well() -> None:
    those = waiting("a", "b", fail_fast=True)
    those.take(Changed(jobs.passed(jobs.pending("a"))))

    assert not those.over()


def test_others_are_ignored() -> None:
    assert waiting("a").take(Changed(jobs.passed(jobs.pending("b")))) == []


def test_only_what_reads_otherwise_is_told() -> None:
    those = waiting("a")
    running = jobs.running(jobs.pending("a"))

    assert [one.name for one in those.take(Changed(running))] == ["a"]
    assert those.take(Changed(running)) == []


def test_one_that_was_deleted_before_it_was_over_counts_as_cancelled() -> None:
    those = waiting("a")
    those.take(Changed(jobs.running(jobs.pending("a")), deleted=True))

    assert those.over()
    assert classify(those.jobs["a"]) is Exit.CANCELLED


def test_one_that_is_missing_from_a_new_list_was_deleted() -> None:
    those = waiting("a", "b")
    those.take(Listed([jobs.pending("b")]))

    assert those.jobs["a"].deleted
    assert not those.jobs["b"].deleted


def test_one_that_was_cleaned_up_after_it_passed_has_passed() -> None:
    those = waiting("a")
    those.take(Changed(jobs.passed(jobs.pending("a"))))
    those.take(Changed(jobs.passed(jobs.pending("a")), deleted=True))
    those.take(Listed([]))

    assert classify(those.jobs["a"]) is Exit.PASSED


def test_trouble_is_over_with_the_next_answer() -> None:
    those = waiting("a")
    those.take(Trouble(Unreachable("no answer")))
    assert those.trouble == "no answer"

    those.take(Listed([jobs.pending("a")]))
    assert those.trouble == ""


def test_one_job_is_followed_by_its_name_and_several_by_what_they_share() -> None:
    a, b = jobs.pending("a", appVersionId="1"), jobs.pending("b", appVersionId="2")

    assert selector_for([a]) == "metadata.name=a"
    assert selector_for([a, b]) == "spec.orgId=acme,spec.target=phones"


def test_the_words_of_progress() -> None:
    those = waiting("a", "b")
    [running] = those.take(Changed(jobs.running(jobs.pending("a"))))

    assert progress_line(running, jobs.NOW) == (
        "tests/login.spec.ts (job a): Running for 20 s in batch tb-1, pod tb-1-pod"
    )
    assert counts_line(list(those.jobs.values())) == "2 jobs: 1 running, 1 queued"
