"""How many sessions the plan still has: other people's count too."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..drivers.base import InfrastructureError, Stopped
from .api import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..stop import StopToken
    from .api import Api

LONGEST_POLL_SECONDS: Final = 15.0
_LONGEST_REFUSED_SECONDS: Final = 60.0
_LOG_AGAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What plan.json says. `allowed` is the smaller of the account's and its team's."""

    running: int
    allowed: int
    queued: int

    @classmethod
    def parse(cls, document: Any) -> Plan | None:
        """None where the answer does not say how many run and may run."""
        if not isinstance(document, dict):
            return None
        running = document.get("parallel_sessions_running")
        limits = [
            limit
            for name in ("parallel_sessions_max_allowed", "team_parallel_sessions_max_allowed")
            if isinstance(limit := document.get(name), int)
        ]
        if not isinstance(running, int) or not limits:
            return None
        queued = document.get("queued_sessions")
        return cls(running, min(limits), queued if isinstance(queued, int) else 0)

    @property
    def is_free(self) -> bool:
        """Whether a session that is asked for now begins at once. Those that wait have come before."""
        return self.running + self.queued < self.allowed

    def __str__(self) -> str:
        """For people."""
        return f"{self.running} of {self.allowed} sessions are taken, {self.queued} more wait"


class Capacity:
    """Waits for a free session. That is no reservation: two that wait may see the same one."""

    #: The first pause between two looks. BrowserStack allows some five requests a second to one user.
    poll_seconds: float = 3.0
    #: After a session was refused although the plan had room: the first pause; each further one is twice as long.
    refused_seconds: float = 5.0

    def __init__(self, api: Api, log: Callable[[str], None]) -> None:
        self._api = api
        self._log = log
        self._refusals = 0
        self._unknown = False

    def refused(self) -> None:
        """A session was refused for want of room: the next wait begins with a pause, whatever the plan says."""
        self._refusals += 1

    def granted(self) -> None:
        """A session was opened."""
        self._refusals = 0

    def wait(self, stop: StopToken, tell: Callable[[str], None]) -> None:
        """Return when a session is free. `tell` gets what it waits for, and an empty text at the end.

        Raises InfrastructureError (plan.json can't be had, or allows none), Stopped.
        """
        if self._refusals:
            seconds = min(self.refused_seconds * 2 ** (self._refusals - 1), _LONGEST_REFUSED_SECONDS)
            tell(f"BrowserStack had no room for a session; trying again in {seconds:g} s")
            _pause(seconds, stop)
        began, logged, poll = time.monotonic(), float("-inf"), self.poll_seconds
        while (plan := self._read(stop)) is not None and not plan.is_free:
            if plan.allowed <= 0:
                raise InfrastructureError(
                    "BrowserStack's plan allows no session: is App Automate part of it?",
                    reason="PlanExhausted",
                )
            tell(f"waits for a free session at BrowserStack: {plan}")
            now = time.monotonic()
            if now - logged > _LOG_AGAIN_SECONDS:
                logged = now
                self._log(f"waits for a free session at BrowserStack: {plan} ({now - began:.0f} s so far)")
            _pause(poll * random.uniform(0.8, 1.2), stop)  # noqa: S311 - spreads pods out
            poll = min(1.5 * poll, LONGEST_POLL_SECONDS)
        if logged > 0:
            self._log(f"a session is free at BrowserStack after {time.monotonic() - began:.0f} s")
        tell("")

    def _read(self, stop: StopToken) -> Plan | None:
        url = f"{self._api.provider.api_url}/app-automate/plan.json"
        try:
            plan = Plan.parse(self._api.request("GET", url, stop=stop))
        except RefusedError as error:
            plan, why = None, str(error)
        else:
            why = "its answer names no numbers of sessions"
        if plan is None and not self._unknown:
            self._unknown = True
            self._log(f"{url}: {why}: sessions are asked for without looking whether one is free")
        return plan


def _pause(seconds: float, stop: StopToken) -> None:
    if stop.wait(seconds):
        raise Stopped(stop.reason)
