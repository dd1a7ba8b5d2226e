"""What runner and courier say to each other: lines of JSON, one connection for each call.

The runner sends one request, and perhaps `{"stop": "why"}` later. The courier answers with any number of
`{"log": "…"}` and then one `{"result": …}` or `{"error": {…}}`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ..drivers.base import InfrastructureError, Stopped, SubmitterError

#: No line is longer, in bytes.
MAX_LINE_BYTES: Final = 64 * 1024
#: How long one folder of artifacts may take, in seconds: the courier stops then, and the runner waits so long for it.
STORE_SECONDS: Final = 600.0
#: Characters of an error's or a log line's text that are sent.
_MAX_TEXT: Final = 8 * 1024


def encode(message: dict[str, Any]) -> bytes:
    """One message as a line."""
    return json.dumps(message).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line. Raises ValueError."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message must be an object")
    return message


def log_message(text: str) -> dict[str, Any]:
    """A line of progress."""
    return {"log": text[:_MAX_TEXT]}


def error_message(error: Exception) -> dict[str, Any]:
    """An error for the other side; of a kind that it can raise again."""
    if isinstance(error, SubmitterError):
        return {"error": {"kind": "submitter", "reason": error.reason, "message": error.message[:_MAX_TEXT]}}
    if isinstance(error, Stopped):
        return {"error": {"kind": "stopped", "message": str(error)[:_MAX_TEXT]}}
    if isinstance(error, InfrastructureError):
        return {
            "error": {"kind": "infrastructure", "reason": error.reason, "message": error.message[:_MAX_TEXT]}
        }
    return {"error": {"kind": "infrastructure", "message": f"{type(error).__name__}: {error}"[:_MAX_TEXT]}}


def as_exception(error: dict[str, Any]) -> Exception:
    """The exception that an error message stands for."""
    message = str(error.get("message", ""))
    if error.get("kind") == "submitter":
        return SubmitterError(str(error.get("reason", "")), message)
    if error.get("kind") == "stopped":
        return Stopped(message)
    return InfrastructureError(message, reason=str(error.get("reason", "")))
