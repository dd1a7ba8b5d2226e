"""What can be made to go wrong with the cloud, in its own words where those are known."""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = {
    "unauthorized": "401 for every request with credentials",
    "forbidden": "403 for every request with credentials",
    "rate-limit": "429 for every request of the REST API; ':SECONDS' heals by itself and is sent as Retry-After",
    "down": "503 for everything",
    "reset-uploads": "resets the connection of the next ':N' uploads (1) before it answers",
    "hub-503": "503 for everything that the hub is asked",
    "upload": "422 for uploads; ':TEXT' is the error",
    "queue-full": "refuses sessions because the queue is full; ':N' only the next N",
    "session": "refuses sessions; ':CODE' is the error's code (BROWSERSTACK_APP_INSTALL_FAILED)",
    "hang": "the hub takes requests and answers none",
    "hang-after": "the same, after ':N' commands",
    "api-hang": "the REST API takes requests and answers none",
    "die-after": "each session ends after ':N' commands",
    "no-details": "404 for the details of sessions",
    "none": "all is well again",
}
_NUMBERS = {"hang-after", "die-after"}


class UnknownFaultError(ValueError):
    """The text names no fault. Its message lists them."""


@dataclass(frozen=True)
class Fault:
    """One fault; `number` and `text` are what stands behind its colon."""

    kind: str = "none"
    text: str = ""
    number: float = 0


def parse(text: str) -> Fault:
    """Reads `queue-full:2`, `upload:The file is too old`, `none`. Raises UnknownFaultError."""
    kind, _, detail = text.strip().partition(":")
    number = float(detail) if re.fullmatch(r"\d+(\.\d+)?", detail) else 0.0
    if kind not in KINDS or (kind in _NUMBERS and not number):
        known = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
        raise UnknownFaultError(f"no fault {text.strip()!r}. {known}")
    return Fault(kind, detail, number)
