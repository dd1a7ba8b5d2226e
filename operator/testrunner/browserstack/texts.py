"""What BrowserStack says, and whose matter it is. Pure.

It names most of its refusals by a code in brackets (`[BROWSERSTACK_QUEUE_SIZE_EXCEEDED] …`); the others are known by
their words. What is not known here keeps its own text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from qgjob.api.stores import VERSION_PLACEHOLDER

#: BrowserStack ignores other characters in a custom_id, and takes no longer one.
CUSTOM_ID_CHARACTERS: Final = 100
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9._-]")

QUEUE_FULL: Final = "QueueFull"
CREDENTIALS_REFUSED: Final = "CredentialsRefused"
RATE_LIMITED: Final = "RateLimited"
UNREACHABLE: Final = "CloudUnreachable"
UPLOAD_REFUSED: Final = "UploadRefused"
SESSION_LOST: Final = "SessionLost"
APP_GONE: Final = "AppGone"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something other than the test failed: a CamelCase reason, and what to do about it."""

    reason: str
    advice: str


NO_SESSION: Final = Cause(
    "NoSession",
    "BrowserStack opened no session within the test's time: others were faster, or its devices of this kind are all in "
    "use",
)
CREDENTIALS: Final = "check the Secret {secret} (keys username and accessKey) and the account's plan"
_QUEUE: Final = (
    "all sessions of the plan and its queue are taken: lower the target's parallelism, or enlarge the plan"
)
_APP: Final = (
    "BrowserStack does not have the app any more (it deletes what was not used for 30 days): "
    "the next batch uploads it again"
)
_DEVICE: Final = "check provider.browserstack.device and osVersion against BrowserStack's list of devices"
NETWORK: Final = "check provider.browserstack's URLs, the cluster's network, and status.browserstack.com"

# The first that fits counts. Texts are matched without regard to case.
_CAUSES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), Cause(reason, advice))
    for pattern, reason, advice in (
        (
            (
                r"QUEUE_SIZE_EXCEEDED|PARALLELS_IN_USE|All parallel\w* (tests |sessions )?are (currently )?in use"
                r"|Cannot queue more than|queue is full|parallel\w* (session )?limit"
            ),
            QUEUE_FULL,
            _QUEUE,
        ),
        (
            r"TIER_LIMIT_EXCEEDED|Tier limit exceeded",
            QUEUE_FULL,
            "too many sessions on this kind of device: lower the target's parallelism, or use another device",
        ),
        (
            (
                r"HTTP Basic: Access denied|Access (to API )?denied|Authorization (required|failed)"
                r"|AUTHORIZATION_FAILED|Invalid (username|credentials|access key)|\b401\b|\b403\b"
            ),
            CREDENTIALS_REFUSED,
            CREDENTIALS,
        ),
        (
            r"(testing )?(time|minutes)( has| have)? (expired|exhausted)|(plan|trial|subscription)( has)? expired",
            "PlanExhausted",
            "BrowserStack's plan is used up or over: renew it, or pause the target (parallelism: 0)",
        ),
        (r"Too many requests|rate limit|\b429\b", RATE_LIMITED, "fewer batches at once: lower parallelism"),
        (r"INVALID_APP_(CAP|URL)|APP_DELETED", APP_GONE, _APP),
        (
            r"APP_INSTALL\w*_FAILED|INSTALL_(FAILED|PARSE_FAILED)_\w+",
            "InstallFailed",
            "the device did not take the app: does it fit the device's system, and is it signed?",
        ),
        (
            r"(INVALID|DEPRECATED|UNSUPPORTED)_(DEVICE|OS|PLATFORM)\w*|DEVICE_NOT_FOUND|could not find (the )?device",
            "DeviceUnknown",
            _DEVICE,
        ),
        (
            r"IDLE_TIMEOUT",
            "IdleTimeout",
            "raise provider.browserstack.idleSeconds (up to 300)",
        ),
        (
            r"Session not started or terminated|invalid session id|session is either terminated",
            SESSION_LOST,
            "BrowserStack ended the session; its page there says why",
        ),
        (r'setting up "(device|persistentDevice|deviceProvider)"', NO_SESSION.reason, NO_SESSION.advice),
        (
            (
                r"ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|socket hang up|Unable to connect"
                r"|Request timed out|\b50[234]\b|Service Unavailable|Bad Gateway"
            ),
            UNREACHABLE,
            NETWORK,
        ),
    )
)
#: What only BrowserStack says, or WebDriver's standard of a session that never was or is over: for the output of any
#: framework.
REFUSALS: Final = re.compile(
    r"\[BROWSERSTACK_[A-Z_]+\]|\bsession not created\b|\binvalid session id\b"
    r"|All parallel (tests|sessions) are (currently )?in use|HTTP Basic: Access denied"
    r"|Access to API denied|Session not started or terminated"
)
# Of a refused upload: words about the account come first, because they may speak of the app too.
_ACCOUNT: Final = re.compile(
    r"plan|limit|quota|subscription|trial|account|permission|access|try again|internal|unavailable",
    re.IGNORECASE,
)
_FILE: Final = re.compile(
    r"malformed|corrupt|archive|manifest|extension|format|unsupported|not supported|pars(e|ing)|signature"
    r"|INVALID_(APP|FILE|APK|AAB|IPA)|invalid (app|file|apk|aab|ipa|package)|valid (app|file|apk|aab|ipa|package)",
    re.IGNORECASE,
)


def own_custom_id(sha256: str) -> str:
    """The custom_id of a package that the runner uploads: the same file is found again by whoever has it."""
    return f"qgjob-{sha256}"


def custom_id(template: str, app_version_id: str) -> str:
    """The custom_id in app.customId's place, as BrowserStack keeps it: without the characters that it ignores."""
    return _NOT_IN_IDS.sub("", template.replace(VERSION_PLACEHOLDER, app_version_id))


def explain(text: str, secret: str) -> Cause | None:
    """The cause that a text speaks of; None where it is not known. `secret` is the target's Secret, for advice."""
    for pattern, cause in _CAUSES:
        if pattern.search(text):
            return Cause(cause.reason, cause.advice.format(secret=secret))
    return None


def with_advice(message: str, advice: str) -> str:
    """A failure, and what to do about it."""
    return f"{message.rstrip('. ')}. What to do: {advice}"


def is_about_the_file(status: int, text: str) -> bool:
    """Whether a refused upload (HTTP status, answer) is the package's own fault, so that no retry can help."""
    if status not in (400, 413, 415, 422):
        return False
    if status == 413:
        return True
    return bool(_FILE.search(text)) and not _ACCOUNT.search(text)
