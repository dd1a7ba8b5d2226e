"""Job ids: short, sorted by time, fit for DNS. Pure: the clock and the randomness are passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Crockford's base 32 in lower case: no i, l, o, u, so that an id can be read out.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 9  # milliseconds: enough until the year 3084
_RANDOM_DIGITS: Final = 5


class JobIds:
    """Makes ids that sort in the order in which they were made, also within one millisecond."""

    def __init__(self, now: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._now = now
        self._random_bytes = random_bytes
        self._last = 0

    def next(self) -> str:
        """A new id, 14 characters."""
        self._last = max(int(self._now() * 1000), self._last + 1)
        chance = int.from_bytes(self._random_bytes(4))  # of which the last 25 bits are written
        return _digits(self._last, _TIME_DIGITS) + _digits(chance, _RANDOM_DIGITS)


def for_test(job_id: str, test: str) -> str:
    """The id of one of several tests that share a --job-id.

    It hangs on the test's path and not on its place in the list, so that a resubmission stays the same one
    when another file matches the pattern by then.
    """
    import hashlib

    return f"{job_id}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"


def _digits(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text
