"""One thread for the driver, so that the main thread can go on talking to the API server."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Call(Generic[T]):
    """Work that was handed over."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done = threading.Event()
        self._result: T
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it (the worker's side)."""
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by result(), in the caller's thread
            self._error = error
        finally:
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is done, at most so many seconds; returns whether it is."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """What it returned; raises what it raised."""
        if self._error is None:
            return self._result
        if isinstance(self._error, Exception):
            raise self._error
        # A driver that calls sys.exit() ends its own work, not the runner.
        raise RuntimeError(f"it raised {self._error!r}") from self._error


class Worker:
    """Does one piece of work after another, always in the same thread. The process exits without waiting."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Call[Any]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def call(self, work: Callable[[], T]) -> Call[T]:
        """Hand it over."""
        call = Call(work)
        self._calls.put(call)
        return call

    def _run(self) -> None:
        while True:
            self._calls.get().run()
