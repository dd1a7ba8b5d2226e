"""A target's devices in one pass: who has them, which may be given away, and how their status should read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from testqueue.core import health
from testqueue.core.model import DeviceLease, Key, date_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.addresses import Addresses
    from testqueue.core.model import DeviceView, TargetView
    from testqueue.core.store import Store

DRAINS: str = "drains after its batch"
REMOVED: str = "no longer in the spec: goes with its batch"


class Pool:
    """The devices of one target. Built anew in each pass; `lease` gives one away."""

    def __init__(
        self,
        target: TargetView,
        store: Store,
        addresses: Addresses,
        holds: Callable[[Key], bool],
        now: float,
    ) -> None:
        """`holds` says whether a batch may still use its device; `now` in seconds since the epoch."""
        self._target = target
        self._store = store
        self._addresses = addresses
        self._now = now
        self._known = {lease.name: lease for lease in target.leases}
        #: The devices that a batch has, and which.
        self.held: dict[str, str] = {}
        self._address: dict[str, str] = {}
        for lease in target.leases:
            if lease.batch and holds(Key(target.namespace, lease.batch)):
                self.held[lease.name] = lease.batch
        # A batch that is live has its device, even where someone has edited the target's status.
        for batch in store.live_batches(target.key):
            if batch.device:
                self.held[batch.device] = batch.name
                self._address[batch.device] = batch.address
        self._idle = {device.name: self._at_rest(device) for device in target.devices}
        #: When the next quarantined device may be tried again, in seconds since the epoch.
        self.next_trial = math.inf
        #: May take a batch, the most trusted first; and may take a trial batch, the one that waits longest first.
        self.healthy: list[DeviceView] = []
        self.on_trial: list[DeviceView] = []
        if store.is_wanted(target.key):
            self._offer()

    @property
    def slots(self) -> int:
        """Batches that may run at once: as many as devices are neither quarantined nor drained, or parallelism."""
        target = self._target
        usable = sum(
            device.name in self.held or self._idle[device.name].state == "Free" for device in target.devices
        )
        return usable if target.parallelism is None else min(target.parallelism, usable)

    def lease(self, device: DeviceView, batch: str) -> None:
        """Give a device to a batch."""
        self.held[device.name] = batch
        self._addresses.use(self._target.namespace, device.address)

    def leases(self) -> tuple[DeviceLease, ...]:
        """The devices as their status should read: the spec's, then those that were removed while busy."""
        devices = {device.name: device for device in self._target.devices}
        names = [*devices, *(name for name in self.held if name not in devices)]
        return tuple(
            self._busy(name, devices.get(name)) if name in self.held else self._idle[name] for name in names
        )

    def _at_rest(self, device: DeviceView) -> DeviceLease:
        """How it reads where no batch has it, once what its last one came to is counted."""
        lease = self._known.get(device.name)
        if lease is not None and lease.batch and device.name not in self.held:
            lease = self._settled(lease)
        return health.idle(lease, device, self._addresses.note(self._target.key, device))

    def _settled(self, lease: DeviceLease) -> DeviceLease:
        batch = self._store.batches.get(Key(self._target.namespace, lease.batch))
        if batch is None or batch.device != lease.name:
            return health.after(lease, "unclear", None, self._target.health, self._now)
        said = health.verdict(batch, self._store.elsewhere(batch))
        return health.after(lease, said, batch, self._target.health, self._now)

    def _busy(self, name: str, device: DeviceView | None) -> DeviceLease:
        old = self._known.get(name) or DeviceLease(name)
        if old.batch != self.held[name]:
            # Its last batch is counted before the next one has it.
            old = self._idle.get(name) or old
            address = self._address.get(name) or (device.address if device else old.address)
            since = date_time(self._now)
            old = old._replace(batch=self.held[name], since=since, address=address)
        message = REMOVED if device is None else DRAINS if device.drained else ""
        if not message and old.failures:
            message = old.message
        return old._replace(state="Busy", message=message)

    def _offer(self) -> None:
        taken = set[str]()
        namespace = self._target.namespace
        for device in self._by_trust():
            lease = self._idle[device.name]
            if device.name in self.held or self._addresses.are_used(namespace, device.address):
                continue
            if lease.state == "Quarantined" and lease.tried_from > self._now:
                self.next_trial = min(self.next_trial, lease.tried_from)
            elif lease.state != "Drained" and device.address not in taken:
                taken.add(device.address)
                (self.on_trial if lease.on_probation else self.healthy).append(device)
        self.on_trial.sort(key=lambda device: self._idle[device.name].tried_from)

    def _by_trust(self) -> list[DeviceView]:
        """Those last whose last batch failed on them: a dead phone is always the first to be free.

        The one that failed longest ago is the first of these to be tried again; else they stay in the spec's order.
        """
        failed = {
            device: self._store.last_failure_on(self._target.key, device.name)
            for device in self._target.devices
        }
        return sorted(failed, key=lambda device: failed[device] or -math.inf)
