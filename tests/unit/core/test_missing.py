"""What people read when a pod waits for a Secret."""

from __future__ import annotations

from testqueue.core.missing import in_words

from .objects import pod


def test_a_secret_that_is_missing_is_named_with_what_to_do() -> None:
    said = 'MountVolume.SetUp failed for volume "secret-app-headers" : secret "builds" not found'

    reason, message = in_words("FailedMount", said, "ci")

    assert reason == "SecretNotFound"
    assert message.startswith("there is no Secret builds in namespace ci")
    assert message.endswith("create it, and the pod starts by itself")


def test_a_key_that_is_missing_is_named() -> None:
    reason, message = in_words(
        "CreateContainerConfigError", "couldn't find key password in Secret ci/account", "ci"
    )

    assert reason == "SecretKeyNotFound"
    assert message.startswith("the Secret account, which the TestTarget names, has no key password")


def test_anything_else_is_passed_on() -> None:
    assert in_words("FailedMount", "the disk is on fire", "ci") == ("FailedMount", "the disk is on fire")


def test_a_variable_whose_secret_is_missing_is_told_in_the_same_words() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "account" not found'}}

    assert pod(phase="Pending", state=waiting).problem == "SecretNotFound"
