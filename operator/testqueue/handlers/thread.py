"""kopf in a thread of its own, with an event loop of its own.

In ours it would take over the process' signals, and cancel at its end whatever tasks have come after it: a write
that is under way among them. It stops for good when one of its watches meets an error that it does not know, so it
is started again then; what it watches is never urgent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import kopf

from testqueue.handlers.registry import build_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

logger = logging.getLogger(__name__)
RESTART_SECONDS: Final = 5.0


class KopfThread:
    """Runs kopf from `start` to `stop`. To be made, and stopped, in the main event loop."""

    def __init__(self, namespace: str) -> None:
        """`namespace`: the only one to serve; all where it is empty."""
        self._namespaces = [namespace] if namespace else []
        self._main = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def in_main_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Called in kopf's loop: run it in the main one, and wait for its end."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._main))

    def start(self, build_registry: Callable[[], kopf.OperatorRegistry]) -> None:
        """Begin."""
        # It says in a warning that it takes no signals, which is what is wanted.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        # A daemon, so that nothing in there can keep the process alive.
        self._thread = threading.Thread(target=self._run, args=(build_registry,), name="kopf", daemon=True)
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """End; wait at most so long."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, seconds)

    def _run(self, build_registry: Callable[[], kopf.OperatorRegistry]) -> None:
        while not self._stop.is_set():
            try:
                asyncio.run(
                    kopf.operator(
                        registry=build_registry(),
                        settings=build_settings(),
                        standalone=True,
                        clusterwide=not self._namespaces,
                        namespaces=self._namespaces,
                        stop_flag=self._stop,
                    )
                )
            except Exception as error:  # noqa: BLE001 (whatever it is, the queue goes on without it)
                logger.warning("watching targets and events is interrupted: %r", error)
            self._stop.wait(RESTART_SECONDS)
