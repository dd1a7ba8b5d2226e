"""What a target's condition says of it after its last batch."""

from __future__ import annotations

from testqueue.core.misfit import misfit

from .objects import at, batch

WORDS = "this runner's image has no driver 'maestro'"
LAST = batch(phase="Failed", reason="DriverNotFound", message=WORDS, finishTime=at(10))


def ready(status: str, since: float) -> dict[str, str]:
    return {"status": status, "lastTransitionTime": at(since)}


def test_a_driver_that_the_image_lacks_is_told_in_the_runners_words() -> None:
    assert misfit(LAST, ready("True", 0), edited=False) == ("DriverNotFound", WORDS)


def test_it_stays_until_something_changes() -> None:
    assert misfit(LAST, ready("False", 11), edited=False) == ("DriverNotFound", WORDS)


def test_an_edit_is_trusted_and_what_ended_before_it_is_forgiven() -> None:
    assert misfit(LAST, ready("False", 11), edited=True) == ("", "")
    assert misfit(LAST, ready("True", 20), edited=False) == ("", "")


def test_a_batch_that_ends_alike_after_an_edit_is_told_again() -> None:
    later = batch(phase="Failed", reason="DriverNotFound", message=WORDS, finishTime=at(30))

    assert misfit(later, ready("True", 20), edited=False) == ("DriverNotFound", WORDS)


def test_any_other_end_says_nothing_against_the_target() -> None:
    for last in (None, batch(phase="Completed"), batch(phase="Failed", reason="InstallFailed")):
        assert misfit(last, ready("True", 0), edited=False) == ("", "")
