"""Which adb addresses are in use. A phone may be named twice: by two targets of a namespace, or anew under another
name while a batch has it under its old one. It serves one batch at a time all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testqueue.core.model import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testqueue.core.model import DeviceView, TargetView
    from testqueue.core.store import Store


class Addresses:
    """The addresses that targets name and batches use, in one pass."""

    def __init__(self, store: Store, holds: Callable[[Key], bool]) -> None:
        """`holds` says whether a batch may still use the device that was leased to it."""
        self._store = store
        self._used: set[tuple[str, str]] = set()
        for target in store.targets:
            for lease in target.leases:
                if lease.batch and holds(Key(target.namespace, lease.batch)):
                    self._used.add((target.namespace, lease.address))
        for batch in store.all_live_batches():
            self._used.add((batch.namespace, batch.address))

    def are_used(self, namespace: str, address: str) -> bool:
        """Whether a batch has a device there, whatever its name."""
        return (namespace, address) in self._used

    def use(self, namespace: str, address: str) -> None:
        """A batch gets it now."""
        self._used.add((namespace, address))

    def rivals(self, target: Key, device: DeviceView) -> tuple[Key, ...]:
        """The other targets that name the device's address."""
        named = self._store.targets_at(target.namespace, device.address)
        return tuple(sorted(key for key in named if key != target))

    def note(self, target: Key, device: DeviceView) -> str:
        """What people should know of a device whose address other targets name, too."""
        named = self._store.targets_at(target.namespace, device.address)
        if len(named) < 2:
            return ""
        others = [f"{name} of {key.name}" for key, name in sorted(named.items()) if key != target]
        return f"serves one batch at a time with {', '.join(others)}: the same address" if others else ""


def is_taken(address: str, rivals: Iterable[TargetView], holds: Callable[[Key], bool]) -> bool:
    """Whether one of these targets, read live, has leased the address: then whoever leased it, too, steps back.

    Each writes its own lease first and reads the others' then, so of two that lease at the same moment at least one
    sees the other.
    """
    return any(
        lease.batch and lease.address == address and holds(Key(target.namespace, lease.batch))
        for target in rivals
        for lease in target.leases
    )
