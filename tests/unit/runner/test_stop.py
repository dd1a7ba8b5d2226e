from __future__ import annotations

from testrunner.stop import StopToken


def test_only_the_first_reason_counts() -> None:
    token = StopToken()
    token.request("SIGTERM")
    token.request("fence")

    assert (token.requested, token.reason) == (True, "SIGTERM")


def test_a_child_is_requested_with_its_parent() -> None:
    parent = StopToken()
    child = parent.child()
    parent.request("SIGTERM")

    assert child.wait(0)
    assert child.reason == "SIGTERM"


def test_a_child_can_be_requested_alone() -> None:
    parent = StopToken()
    child = parent.child()
    child.request("cancelled")

    assert not parent.requested


def test_a_child_that_is_born_late_is_requested_already() -> None:
    parent = StopToken()
    parent.request("SIGTERM", at_once=True)

    child = parent.child()

    assert (child.requested, child.reason, child.at_once) == (True, "SIGTERM", True)


def test_at_once_reaches_a_child_that_was_asked_before() -> None:
    parent = StopToken()
    child = parent.child()
    child.request("cancelled")
    parent.request("fence", at_once=True)

    assert (child.reason, child.at_once) == ("cancelled", True)


def test_at_once_can_be_added_to_a_token_that_was_asked_before() -> None:
    parent = StopToken()
    parent.request("SIGTERM")
    child = parent.child()
    parent.request("SIGTERM again", at_once=True)

    assert child.at_once
