"""What people read when a pod waits for a volume."""

from __future__ import annotations

from testqueue.kube.mounts import in_words


def test_a_secret_that_is_missing_is_named_with_what_to_do() -> None:
    said = 'MountVolume.SetUp failed for volume "secret-app-headers" : secret "builds" not found'

    reason, message = in_words(said, "ci")

    assert reason == "SecretNotFound"
    assert message.startswith("there is no Secret builds in namespace ci")
    assert message.endswith("create it, and the pod starts by itself")


def test_anything_else_is_passed_on() -> None:
    assert in_words("the disk is on fire", "ci") == ("FailedMount", "the disk is on fire")
