"""Whom an operator misses, and since when."""

from __future__ import annotations

from testqueue.core.model import Key
from testqueue.core.recovery import Absences, Repair

from .objects import NAMESPACE, batch

B = Key(NAMESPACE, "tb-1")
ABSENT = Repair(absent=True)


def test_the_first_look_is_where_an_absence_begins() -> None:
    absences = Absences()
    owned = batch(pod="p")
    assert absences.since(B, owned) is None

    absences.note(B, owned, ABSENT, 100)
    absences.note(B, owned, ABSENT, 200)

    assert absences.since(B, owned) == 100


def test_that_a_batch_was_missing_says_nothing_about_its_pod() -> None:
    """Its creation was late; the pod that it got since has a fence time of its own."""
    absences = Absences()
    absences.note(B, None, ABSENT, 100)

    assert absences.since(B, batch(pod="p")) is None


def test_each_owner_is_missed_by_itself() -> None:
    absences = Absences()
    absences.note(B, batch(pod="p"), ABSENT, 100)

    assert absences.since(B, batch(pod="q")) is None


def test_being_seen_ends_an_absence() -> None:
    absences = Absences()
    owned = batch(pod="p")
    absences.note(B, owned, ABSENT, 100)
    absences.note(B, owned, Repair(), 150)

    assert absences.since(B, owned) is None
