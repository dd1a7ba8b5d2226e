"""Leader election by a coordination.k8s.io Lease, as client-go does it.

The holder writes its name and the time into the Lease again and again. Another replica takes it over once the
Lease has not changed for its whole duration by that replica's own clock, or at once when it was released. A
holder that could not renew before the renew deadline stops leading, well before anyone may take over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from testqueue.kube.errors import ApiError, NotLeaderError, Unreachable
from testqueue.kube.paths import collection, item

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.kube.session import ApiSession, Object

logger = logging.getLogger(__name__)
#: Renewals in one renew deadline: two may fail.
_RENEWALS_PER_DEADLINE: Final = 3


class LeaseLostError(Exception):
    """This replica led and could not renew its Lease: it must stop writing, and exit."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """In seconds: a Lease's duration, how long a holder tries to renew, and the pause between tries."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class Lease:
    """One replica's view of the Lease. `run` gets it, keeps it and gives it back."""

    def __init__(
        self,
        session: ApiSession,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.acquired = asyncio.Event()
        self._session = session
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._clock = clock
        self._seen: tuple[str, str] | None = None  # uid and resourceVersion
        self._seen_at = 0.0
        self._held_until = 0.0
        self._released = False
        self._problem = ""

    @property
    def held(self) -> bool:
        """Whether this replica leads at this moment."""
        return not self._released and self._clock() < self._held_until

    def guard(self) -> None:
        """Raise NotLeaderError unless this replica leads: run before each write."""
        if not self.held:
            raise NotLeaderError(f"{self._identity} does not hold the Lease {self._namespace}/{self._name}")

    async def run(self) -> None:
        """Get the Lease, however long it takes, then keep it. Raises LeaseLostError when that fails."""
        while not await self._try(self._times.retry * 2):  # noqa: ASYNC110 (the other side is a server)
            await asyncio.sleep(self._times.retry)
        logger.info("leading as %s", self._identity)
        self.acquired.set()
        while True:
            await asyncio.sleep(self._times.renew_deadline / _RENEWALS_PER_DEADLINE)
            while not await self._try(max(self._held_until - self._clock(), 0.0)):
                if not self.held:
                    name = f"{self._namespace}/{self._name}"
                    raise LeaseLostError(f"the Lease {name} could not be renewed in time: {self._problem}")
                await asyncio.sleep(min(self._times.retry, max(self._held_until - self._clock(), 0.0)))

    async def release(self) -> None:
        """Give the Lease back, so that another replica need not wait for its end. Best effort."""
        if not self.held:
            return
        self._released = True
        try:
            async with asyncio.timeout(self._times.retry):
                path = item("leases", self._namespace, self._name)
                lease = await self._session.get(path)
                if lease["spec"].get("holderIdentity") != self._identity:
                    return
                lease["spec"].update(holderIdentity="", leaseDurationSeconds=1, renewTime=_micro_time())
                await self._session.replace(path, lease)
                logger.info("released the Lease")
        except (ApiError, Unreachable, TimeoutError) as error:
            logger.warning("the Lease could not be released: %s", error or "no answer in time")

    async def _try(self, seconds: float) -> bool:
        """Get or renew it once, in at most so long; tell whether it is held now."""
        started = self._clock()
        try:
            async with asyncio.timeout(seconds):
                held = await self._get_or_renew()
        except TimeoutError:
            self._say("no answer in time")
            return False
        except (ApiError, Unreachable) as error:
            self._say(self._advice(error))
            return False
        if held:
            # Counted from before the request: the server's time of renewal cannot be earlier.
            self._held_until = started + self._times.renew_deadline
            self._problem = ""
        return held

    async def _get_or_renew(self) -> bool:
        path = item("leases", self._namespace, self._name)
        try:
            lease = await self._session.get(path)
        except ApiError as error:
            if not error.is_not_found:
                raise
            return await self._create()
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity") or ""
        self._observe(lease)
        if holder not in {"", self._identity}:
            if self.acquired.is_set():
                self._held_until = 0.0
                self._problem = f"{holder} has taken it over"
                return False
            duration = spec.get("leaseDurationSeconds") or self._times.duration
            if self._clock() < self._seen_at + duration:
                self._say(f"waiting: {holder} leads")
                return False
        if holder != self._identity:
            spec.update(acquireTime=_micro_time(), leaseTransitions=spec.get("leaseTransitions", 0) + 1)
        spec.update(self._own())
        try:
            await self._session.replace(path, lease)
        except ApiError as error:
            if error.is_conflict:
                return False
            raise
        return True

    async def _create(self) -> bool:
        body: dict[str, Any] = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**self._own(), "acquireTime": _micro_time(), "leaseTransitions": 0},
        }
        try:
            await self._session.create(collection("leases", self._namespace), body)
        except ApiError as error:
            if error.already_exists:
                return False
            raise
        return True

    def _own(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(round(self._times.duration), 1),
            "renewTime": _micro_time(),
        }

    def _observe(self, lease: Object) -> None:
        seen = (lease["metadata"].get("uid", ""), lease["metadata"].get("resourceVersion", ""))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            logger.info("Lease %s/%s: %s", self._namespace, self._name, problem)

    def _advice(self, error: ApiError | Unreachable) -> str:
        if isinstance(error, ApiError) and error.is_not_found:
            return (
                f"{error}: create the namespace {self._namespace}, or name another one by --lease-namespace"
            )
        return str(error)


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
