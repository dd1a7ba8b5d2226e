"""What BrowserStack says, and what is made of it."""

from __future__ import annotations

import re

import pytest

from testrunner.browserstack import texts

CREATE = "Error: Failed to create session. HTTP 500: "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            CREATE
            + "[BROWSERSTACK_QUEUE_SIZE_EXCEEDED] All parallel tests are currently in use, including the queued tests. "
            "Please wait to finish or upgrade your plan to add more sessions.",
            "QueueFull",
        ),
        ("All parallels are currently in use, and the queue is full.", "QueueFull"),
        ("Error: Cannot queue more than 200 workers", "QueueFull"),
        (
            CREATE + "[BROWSERSTACK_TIER_LIMIT_EXCEEDED] Tier limit exceeded for device 'Pixel 8'.",
            "QueueFull",
        ),
        ("Failed to create session. HTTP 401: HTTP Basic: Access denied.", "CredentialsRefused"),
        ("Error: Access to API denied.", "CredentialsRefused"),
        (CREATE + "Testing time has expired, please upgrade", "PlanExhausted"),
        (
            CREATE
            + "[BROWSERSTACK_INVALID_APP_CAP] The app_url/ custom_id/ shareable_id specified in the 'app' capability "
            "in your test script is invalid.",
            "AppGone",
        ),
        (CREATE + "[BROWSERSTACK_INVALID_APP_URL] The app_url specified …", "AppGone"),
        (CREATE + "[BROWSERSTACK_APP_DELETED] …", "AppGone"),
        (
            CREATE + "[BROWSERSTACK_APP_INSTALL_FAILED] Failure [INSTALL_FAILED_NO_MATCHING_ABIS]",
            "InstallFailed",
        ),
        (CREATE + "[BROWSERSTACK_DEPRECATED_DEVICE_ERROR] …", "DeviceUnknown"),
        ("invalid session id: Session not started or terminated", "SessionLost"),
        ("getaddrinfo ENOTFOUND hub-cloud.browserstack.com", "CloudUnreachable"),
        ('Test timeout of 60000ms exceeded while setting up "device".', "NoSession"),
        ("HTTP 429: Too many requests", "RateLimited"),
    ],
)
def test_a_failure_gets_a_reason_and_advice(text: str, reason: str) -> None:
    cause = texts.explain(text, "account")

    assert cause is not None
    assert cause.reason == reason
    assert cause.advice


def test_the_advice_for_refused_credentials_names_the_secret() -> None:
    cause = texts.explain("HTTP 401", "my-account")

    assert cause is not None
    assert "Secret my-account (keys username and accessKey)" in cause.advice


def test_what_is_not_known_keeps_its_own_words() -> None:
    assert texts.explain("[BROWSERSTACK_SOMETHING_NEW] The moon is full", "account") is None


def test_the_custom_id_of_an_upload_fits_browserstacks_rules() -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", texts.own_custom_id("0" * 64))
    assert texts.own_custom_id("1" * 64) != texts.own_custom_id("2" * 64)


def test_a_custom_id_of_the_teams_is_looked_up_as_browserstack_keeps_it() -> None:
    assert texts.custom_id("shop-{appVersionId}", "1.4.0+build 7") == "shop-1.4.0build7"


@pytest.mark.parametrize(
    ("status", "text", "about"),
    [
        (422, "[BROWSERSTACK_INVALID_APP] Malformed archive", True),
        (422, "Invalid file: only .apk, .aab and .ipa files are supported: unsupported extension", True),
        (413, "Request Entity Too Large", True),
        (400, "could not parse AndroidManifest.xml", True),
        (422, "Something went wrong. Please try again.", False),
        (422, "Your plan does not support uploads of this format", False),
        (422, "You have reached the limit of uploaded apps", False),
        (409, "Malformed archive", False),
        (422, "", False),
    ],
)
def test_a_refused_upload_is_the_apps_fault_only_where_the_answer_says_so(
    status: int, text: str, about: bool
) -> None:
    assert texts.is_about_the_file(status, text) is about


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("selenium…SessionNotCreatedException: [BROWSERSTACK_DEVICE_OFFLINE] no device", True),
        ("Message: Session not started or terminated", True),
        ("AssertionError: BROWSERSTACK is not ours", False),
        ("E   assert 'Items: 4' == 'Items: 1000'", False),
    ],
)
def test_refusals_are_found_in_any_frameworks_output(line: str, is_one: bool) -> None:
    assert bool(texts.REFUSALS.search(line)) is is_one
