"""How a request can end other than with what was asked for."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """The API server answered, and said no.

    `reason` is Kubernetes' own word (`NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`…).
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message or reason or 'refused'} (HTTP {status})")
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after

    @property
    def is_not_found(self) -> bool:
        """The object, or the resource itself, is not there."""
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """A precondition did not hold: another resourceVersion or uid."""
        return self.status == 409 and self.reason != "AlreadyExists"

    @property
    def already_exists(self) -> bool:
        """A create met an object of that name."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_expired(self) -> bool:
        """That resourceVersion or continue token is too old: list again."""
        return self.status == 410

    @property
    def is_ambiguous(self) -> bool:
        """The server failed on the way: a write may have been carried out all the same."""
        return self.status >= 500

    @property
    def is_transient(self) -> bool:
        """The server is overloaded, starting or stopping; the same request may succeed later."""
        return self.status == 429 or self.status >= 500


class Unreachable(Exception):  # noqa: N818 (a state of the world rather than a mistake)
    """No answer came. With `sent`, the request may have been carried out all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent

    @property
    def is_ambiguous(self) -> bool:
        """A write may have been carried out all the same."""
        return self.sent


class NotLeaderError(Exception):
    """This replica may not write (any more)."""
