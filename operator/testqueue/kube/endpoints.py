"""The operator's own small HTTP server: /healthz, /readyz and /metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiohttp import web

from testqueue.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.metrics import Metrics

BEAT_SECONDS: Final = 1.0
#: A main loop that has not turned for so long is taken for stuck; while the API server is away a turn takes minutes.
STUCK_SECONDS: Final = 300.0


class Heartbeat:
    """Tells whether the main loop still turns: something must beat regularly."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """The loop turns."""
        self._last = self._clock()

    @property
    def alive(self) -> bool:
        """Whether the last beat is recent."""
        return self._clock() - self._last < STUCK_SECONDS


class Endpoints:
    """Serves until closed. `/readyz` answers 200 once `not_ready` returns nothing, else 503."""

    def __init__(self, metrics: Metrics, heartbeat: Heartbeat, not_ready: Callable[[], list[str]]) -> None:
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError when that is not possible."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        if self._heartbeat.alive:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the main loop is stuck\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if missing := self._not_ready():
            return web.Response(status=503, text=f"not synced yet: {', '.join(missing)}\n")
        return web.Response(text="ok\n")

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
