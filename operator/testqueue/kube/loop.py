"""The main loop: something changed, or it is time ──▶ plan ──▶ write ──▶ again. Only while leading."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.plan import Planner
    from testqueue.kube.writer import Writer
    from testqueue.metrics import Metrics

logger = logging.getLogger(__name__)
#: Changes come in bursts (a whole CI run's submissions): wait so long for the others.
DEBOUNCE_SECONDS: Final = 0.05


class Loop:
    """Passes of planner and writer, one after another: a pass sees what the one before wrote."""

    def __init__(
        self,
        planner: Planner,
        writer: Writer,
        changed: asyncio.Event,
        metrics: Metrics,
        *,
        on_turn: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`on_turn` is called at the start of each pass, some seconds after the last one's end at the latest."""
        self._planner = planner
        self._writer = writer
        self._changed = changed
        self._metrics = metrics
        self._on_turn = on_turn
        self._clock = clock
        self._stopping = False

    def stop(self) -> None:
        """End after the pass that is under way."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Plan and write until stopped."""
        while not self._stopping:
            self._on_turn()
            self._changed.clear()
            with self._metrics.planner_seconds.time():
                planned = self._planner.plan(self._clock())
            await self._writer.run(planned.actions)
            await self._wait(planned.look_again)
        await self._writer.finish()
        logger.info("stopped planning")

    async def _wait(self, until: float) -> None:
        if self._stopping:
            return
        try:
            async with asyncio.timeout(max(until - self._clock(), 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(DEBOUNCE_SECONDS)
