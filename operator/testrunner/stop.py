"""Asking work in other threads to stop, with the reason why."""

from __future__ import annotations

import threading
from weakref import WeakSet


class StopToken:
    """A request to stop that any thread may make and any thread may wait for. It can't be taken back.

    A child token is requested with its parent, and can be requested alone: the runner's token stops
    everything, a test's own token (a child) stops just that test.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._reason = ""
        self._at_once = False
        self._children: WeakSet[StopToken] = WeakSet()

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    @property
    def reason(self) -> str:
        """Why, in the words of whoever asked first; empty as long as nobody did."""
        return self._reason

    @property
    def at_once(self) -> bool:
        """Whether to stop without any grace: processes are killed, nothing is tidied up."""
        return self._at_once

    def request(self, reason: str, *, at_once: bool = False) -> None:
        """Ask to stop. Only the first reason counts; `at_once` may be added by a later request."""
        with self._lock:
            self._at_once = self._at_once or at_once
            if not self._event.is_set():
                self._reason = reason
                self._event.set()
            children = list(self._children)
        for child in children:
            child.request(reason, at_once=at_once)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until somebody asks to stop, at most so many seconds; returns whether somebody did."""
        return self._event.wait(seconds)

    def child(self) -> StopToken:
        """A token that is requested with this one, or alone."""
        child = StopToken()
        with self._lock:
            self._children.add(child)
            requested = self._event.is_set()
        if requested:
            child.request(self._reason, at_once=self._at_once)
        return child
