"""The cache of one resource: the newest view wins, however it came."""

from __future__ import annotations

from testqueue.core.model import JobView, Key
from testqueue.core.store import Table

from .objects import NAMESPACE, job

KEY = Key(NAMESPACE, "login")


def table(*views: JobView) -> Table[JobView]:
    filled: Table[JobView] = Table()
    for view in views:
        filled.apply(view)
    return filled


def test_a_newer_view_replaces_an_older_one() -> None:
    views = table(job(version=1), job(version=2, phase="Scheduled"))

    assert views.get(KEY) == job(version=2, phase="Scheduled")


def test_a_late_watch_event_does_not_roll_an_answer_back() -> None:
    views = table(job(version=5, phase="Scheduled", batch="tb-1"))

    assert not views.apply(job(version=3))
    assert views.get(KEY) == job(version=5, phase="Scheduled", batch="tb-1")


def test_the_echo_of_an_own_write_is_no_news() -> None:
    assert not table(job(version=5)).apply(job(version=5))


def test_what_was_removed_is_gone() -> None:
    views = table(job(version=1))

    views.remove(job(version=2))

    assert KEY not in views


def test_a_late_answer_does_not_bring_back_what_was_removed() -> None:
    views = table(job(version=1))
    views.remove(job(version=3))

    views.apply(job(version=2))

    assert KEY not in views


def test_a_new_object_of_the_same_name_is_taken() -> None:
    views = table(job(version=1))
    views.remove(job(version=3))

    views.apply(job(version=4))

    assert KEY in views


def test_the_end_of_the_object_before_does_not_remove_the_new_one() -> None:
    views = table(job(version=4))

    views.remove(job(version=3))

    assert KEY in views


def test_a_removal_that_was_never_seen_is_remembered_too() -> None:
    views = table()
    views.remove(job(version=3))

    views.apply(job(version=2))

    assert KEY not in views


def test_a_list_removes_what_it_does_not_hold() -> None:
    views = table(job("login", version=1), job("logout", version=2))

    views.replace([job("logout", version=2)], version=9)

    assert [view.name for view in views] == ["logout"]


def test_a_list_keeps_what_is_newer_than_it() -> None:
    views = table(job("created-since", version=12))

    views.replace([], version=9)

    assert [view.name for view in views] == ["created-since"]


def test_a_list_does_not_roll_back_either() -> None:
    views = table(job(version=12, phase="Scheduled"))

    views.replace([job(version=8)], version=9)

    assert views.get(KEY) == job(version=12, phase="Scheduled")


def test_who_listens_hears_each_change_once() -> None:
    heard: list[tuple[bool, bool]] = []
    views: Table[JobView] = Table(lambda old, new: heard.append((old is not None, new is not None)))

    views.apply(job(version=1))
    views.apply(job(version=2))
    views.apply(job(version=2))
    views.remove(job(version=3))

    assert heard == [(False, True), (True, True), (True, False)]
