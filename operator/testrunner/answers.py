"""What the API server's refusals mean to a runner."""

from __future__ import annotations

from qgjob.client import ApiError, ClientError, Unreachable

#: Seconds that one request may wait for the network. A lost answer costs a GET, not more.
REQUEST_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0


def is_away(error: ClientError) -> bool:
    """Whether the server gave no verdict: no answer, or one that may be another one later.

    401 is among them: to a token that ended, fencing has the answer; to a server that starts, time.
    """
    if isinstance(error, Unreachable):
        return True
    return isinstance(error, ApiError) and (error.status >= 500 or error.status in (401, 408, 429))


def pause(tries: int) -> float:
    """Seconds to wait after so many requests without a verdict (1 is the first)."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(max(tries - 1, 0), 16), LONGEST_PAUSE_SECONDS))
