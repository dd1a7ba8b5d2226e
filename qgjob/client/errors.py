"""What can go wrong between this program and the API server, with words for the person who reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientError(Exception):
    """Any failure of the client; its text says what to do next."""


class ConfigError(ClientError):
    """The kubeconfig (or the pod's own credentials) can't be used."""


class Unreachable(ClientError):  # noqa: N818 - a state of the world more than a mistake
    """No answer from the API server: refused, reset, timed out, its certificate isn't trusted, or what answers
    is something else (a proxy's login page).

    A write that ends so may or may not have been carried out.
    """


class ApiError(ClientError):
    """The API server answered, and refused: its Status object, read.

    `details` is the Status' own `details` (causes, retryAfterSeconds, …); `retry_after` is in seconds where
    the server named a time.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after

    @classmethod
    def from_status(cls, status: Mapping[str, Any], *, code: int = 0) -> ApiError:
        """From a Kubernetes Status object, as a response's body or a watch's ERROR event carries it."""
        return cls(
            int(status.get("code") or code),
            str(status.get("reason") or ""),
            str(status.get("message") or ""),
            status.get("details"),
        )

    @classmethod
    def from_body(cls, code: int, body: bytes, *, retry_after: str | None = None) -> ApiError:
        """From a response whose code is 400 or more; a proxy's answer in plain text or HTML is quoted."""
        try:
            status = json.loads(body)
        except ValueError:
            status = None
        if isinstance(status, dict) and status.get("kind") == "Status":
            error = cls.from_status(status, code=code)
        else:
            error = cls(code, "", f"HTTP {code}: {body[:300].decode(errors='replace').strip()}")
        seconds = retry_after or error.details.get("retryAfterSeconds")
        try:
            error.retry_after = float(seconds) if seconds is not None else None
        except ValueError:
            error.retry_after = None
        return error

    @property
    def is_not_found(self) -> bool:
        """404: no such object, or no such resource."""
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """409: the object has changed (or, from a create, exists already)."""
        return self.status == 409

    @property
    def is_already_exists(self) -> bool:
        """A create met an object of the same name."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_invalid(self) -> bool:
        """422: the schema, a CEL rule, or a JSON patch's `test` said no."""
        return self.status == 422

    @property
    def is_gone(self) -> bool:
        """410: the resourceVersion or continue token is too old; list again."""
        return self.status == 410

    @property
    def causes(self) -> list[tuple[str, str]]:
        """(field, message) of everything that an invalid object did wrong."""
        causes = self.details.get("causes") or []
        return [(str(cause.get("field") or ""), str(cause.get("message") or "")) for cause in causes]
