"""Watching a device while a test runs on it: a lost one ends the test at once instead of at its timeout."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds between two looks, and how long the device may take to answer one.
INTERVAL_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 10.0
#: One look may go wrong by chance.
LOOKS: Final = 2


class DeviceMonitor:
    """Asks `probe(seconds)` again and again in a thread; `lost` says what is wrong after LOOKS bad answers in a row."""

    def __init__(
        self,
        probe: Callable[[float], str],
        *,
        interval: float = INTERVAL_SECONDS,
        answer: float = ANSWER_SECONDS,
    ) -> None:
        self.lost = ""
        self._probe = probe
        self._interval = interval
        self._answer = answer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="device-monitor", daemon=True)

    def __enter__(self) -> DeviceMonitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The thread ends by itself after its last look; nobody waits for a device that hangs.
        self._over.set()

    def join(self) -> None:
        """Wait until the last look is over; who has left the block needs no more from it."""
        self._thread.join()

    def _watch(self) -> None:
        bad = 0
        while not self._over.wait(self._interval if bad == 0 else min(self._interval, 0.5)):
            said = self._probe(self._answer)
            bad = bad + 1 if said else 0
            if bad >= LOOKS:
                self.lost = said
                return
