"""Work beside the passes: repairs and explanations, which nobody's next batch should wait for.

A namespace whose webhooks time out, or 10,000 TestJobs for a target that does not exist, must not keep the others'
devices idle. What is planned again while it still waits, or runs, is the same work and not done twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

W = TypeVar("W")
WORKERS: Final = 8


class Aside(Generic[W]):
    """Carries work out in the background, some at once, the pressing first."""

    def __init__(self, carry_out: Callable[[W], Awaitable[object]], workers: int = WORKERS) -> None:
        """`carry_out` must not raise."""
        self._carry_out = carry_out
        self._workers = workers
        self._pressing: deque[tuple[Hashable, W]] = deque()
        self._patient: deque[tuple[Hashable, W]] = deque()
        self._known: set[Hashable] = set()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, key: Hashable, work: W, *, pressing: bool) -> None:
        """Have it done, unless work of the same key waits or runs."""
        if key in self._known:
            return
        self._known.add(key)
        (self._pressing if pressing else self._patient).append((key, work))
        if len(self._running) < self._workers:
            task = asyncio.create_task(self._work(), name="aside")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        self._pressing.clear()
        self._patient.clear()
        if self._running:
            await asyncio.wait(self._running)

    async def _work(self) -> None:
        while self._pressing or self._patient:
            key, work = (self._pressing or self._patient).popleft()
            try:
                await self._carry_out(work)
            finally:
                self._known.discard(key)
