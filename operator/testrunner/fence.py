"""Self-fencing: a runner that can't be sure of its batch stops its tests, because others may run them soon.

A pod object that is gone doesn't mean a stopped process. So the operator waits for the fence time before it
gives the TestJobs of a missing pod to another one, and the runner keeps its side: it reads its batch every
third of that time, and stops its tests at once when the batch isn't its own any more, or could not be read
for so long.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qgjob.client import ApiError, ClientError

from .answers import REQUEST_SECONDS
from .standing import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock

#: Pause before a reading that went wrong is tried again, and before a refusal is believed.
AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the fence stopped the tests."""

    message: str
    #: The batch may still be this pod's: it just could not be read. Results that exist may still be reported.
    lost_contact: bool
    #: By the clock's monotonic time.
    at: float


class Fence:
    """Two threads: one reads, the other keeps the deadline, because a reading may hang."""

    def __init__(
        self,
        read: Callable[[float], Ownership],
        seconds: float,
        clock: Clock,
        on_trip: Callable[[Trip], None],
        *,
        since: float | None = None,
    ) -> None:
        """`since` (monotonic): when the batch was last known to be this pod's; now, where not given."""
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._on_trip = on_trip
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._deadline = (clock.monotonic() if since is None else since) + seconds
        self._refusals = 0
        self.trip: Trip | None = None

    def start(self) -> None:
        """Begin to read."""
        for target, name in ((self._read_loop, "fence-read"), (self._deadline_loop, "fence-deadline")):
            threading.Thread(target=target, name=name, daemon=True).start()

    def close(self) -> None:
        """The batch is about to be closed by this runner itself."""
        self._closed.set()

    def look(self) -> float:
        """Read once, and judge; returns the seconds until the next look."""
        sent = self._clock.monotonic()
        try:
            whose = self._read(min(REQUEST_SECONDS, self._seconds / 3))
        except ApiError as error:
            if error.status not in (401, 404):
                return self._again()
            self._refusals += 1
            if self._refusals > 1:
                what = (
                    "this pod's token isn't accepted any more" if error.status == 401 else "the batch is gone"
                )
                self._stop(f"{what} ({error})")
            return self._again()
        except ClientError:
            return self._again()
        self._refusals = 0
        if whose is not Ownership.MINE:
            self._stop(whose.value)
        else:
            with self._lock:
                # From the moment of asking: the answer may be as old as that.
                self._deadline = max(self._deadline, sent + self._seconds)
        return self._seconds / 3

    def check_deadline(self) -> float:
        """Stop the tests if the time is over; returns the seconds that are left."""
        with self._lock:
            left = self._deadline - self._clock.monotonic()
        if left <= 0:
            self._stop(f"the batch could not be read for {self._seconds:g} s", lost_contact=True)
        return left

    def _again(self) -> float:
        return min(AGAIN_SECONDS, self._seconds / 3)

    def _stop(self, message: str, *, lost_contact: bool = False) -> None:
        with self._lock:
            if self.trip is not None or self._closed.is_set():
                return
            self.trip = Trip(message, lost_contact, self._clock.monotonic())
        self._on_trip(self.trip)

    def _read_loop(self) -> None:
        pause = self._seconds / 3
        while self.trip is None and not self._closed.wait(pause):
            pause = self.look()

    def _deadline_loop(self) -> None:
        left = 0.0
        while self.trip is None and not self._closed.wait(left):
            left = self.check_deadline()
