"""Why work ends early (the pod is asked to stop, the fence tripped), and how long is left then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .endings import Abandoned, EndBatch, Ending
from .stop import StopToken

if TYPE_CHECKING:
    from .clock import Clock
    from .fence import Trip

# A pod has 60 s from SIGTERM to SIGKILL (terminationGracePeriodSeconds). Seconds after SIGTERM:
#: … until a test that does not stop is killed;
STOP_TEST_BY: Final = 25.0
#: … until results must be reported and TestJobs given back;
REPORT_BY: Final = 45.0
#: … until the runner exits, whatever is left.
EXIT_BY: Final = 55.0

#: A driver has this long to come back where nobody is in a hurry (a target's own grace may be 600 s).
PATIENCE_SECONDS: Final = 630.0
#: How long results are kept for an API server that is away, after the tests were stopped for that.
KEEP_RESULTS_SECONDS: Final = 900.0


class Interruption:
    """Holds the token that stops everything. `terminate` and `fenced` may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.stop = StopToken()
        self._clock = clock
        self._terminated: tuple[str, float] | None = None
        self._trip: Trip | None = None

    @property
    def terminated(self) -> bool:
        """Whether the pod was asked to stop."""
        return self._terminated is not None

    def terminate(self, reason: str) -> None:
        """The pod is asked to stop; asked a second time, at once."""
        again = self._terminated is not None
        if not again:
            self._terminated = (reason, self._clock.monotonic())
        self.stop.request(reason, at_once=again)

    def fenced(self, trip: Trip) -> None:
        """The fence tripped: others may run these tests soon, so they are killed, not asked."""
        self._trip = trip
        self.stop.request(trip.message, at_once=True)

    def raise_if_any(self) -> None:
        """Raises EndBatch, or Abandoned where nothing may be written any more."""
        if self._trip is not None:
            if not self._trip.lost_contact:
                raise Abandoned(self._trip.message)
            raise EndBatch(Ending("Failed", "LostContact", self._trip.message))
        if self._terminated is not None:
            raise EndBatch(Ending("Yielded", "Terminated", self._terminated[0]))

    def seconds_left(self, after_sigterm: float) -> float:
        """Seconds until so many after SIGTERM, or until kept results are given up; may be infinite."""
        now = self._clock.monotonic()
        left = float("inf")
        if self._terminated is not None:
            left = self._terminated[1] + after_sigterm - now
        if self._trip is not None:
            left = min(left, self._trip.at + KEEP_RESULTS_SECONDS - now)
        return left

    def pause(self, seconds: float) -> None:
        """Wait, but wake when a stop is requested; if one was requested already, just wait."""
        if self.stop.requested:
            self._clock.sleep(max(0.0, min(seconds, self.seconds_left(REPORT_BY))))
        else:
            self.stop.wait(seconds)
