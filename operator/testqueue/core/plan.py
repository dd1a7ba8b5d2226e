"""The planner: from what is known to what is to be done.

    Store + now ──▶ [cancels, replays] [repairs] [per target: free devices, new batches, counts] [explanations]

Level-triggered: each pass looks at the whole state, so an action that failed is simply planned again. The planner
keeps only what may be forgotten: when it last nominated or reported what, and the durations it has learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from qgjob.api.lifecycle import timestamp
from testqueue.core.actions import (
    Action,
    CancelJob,
    CheckBatch,
    CreateBatch,
    ExplainJob,
    ReplayJob,
    ResumeBatch,
    UpdateTarget,
)
from testqueue.core.batching import ride, share
from testqueue.core.estimates import Estimates
from testqueue.core.model import DeviceLease, DeviceView, Group, Key, TargetCounts
from testqueue.core.nominate import RECHECK_SECONDS, is_unfinished, oddity
from testqueue.core.order import score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testqueue.core.model import BatchView, JobView, TargetView
    from testqueue.core.store import Store

#: A target's counts alone are written at most so often: API writes are what to save.
REPORT_SECONDS: Final = 5.0
TARGET_NOT_FOUND: Final = "TargetNotFound"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass' outcome: what to do, and when to look again at the latest (seconds since the epoch)."""

    actions: tuple[Action, ...]
    look_again: float


class Planner:
    """Plans one pass after another. `new_name` gives a fresh batch name at each call."""

    def __init__(self, store: Store, new_name: Callable[[], str]) -> None:
        self.estimates = Estimates()
        self._store = store
        self._new_name = new_name
        self._recheck: dict[Key, float] = {}
        self._reported: dict[Key, float] = {}
        self._gone: set[Key] = set()

    def check_again(self, batch: Key, when: float) -> None:
        """A live look found nothing to do yet: not again before this time."""
        self._recheck[batch] = when

    def mark_gone(self, batch: Key) -> None:
        """A live look has shown that the batch does not exist and nothing of it can run: its device is free."""
        self._gone.add(batch)

    def plan(self, now: float) -> Pass:
        """What to do now."""
        store = self._store
        store.advance(now)
        actions: list[Action] = [CancelJob(job) if job.cancel else ReplayJob(job) for job in store.urgent()]
        actions += self._repairs(now)
        wake = [store.next_due or math.inf, now + RECHECK_SECONDS]
        for target in store.targets:
            action, again = self._serve(target, now)
            if action is not None:
                actions.append(action)
            wake.append(again)
        actions += self._explanations()
        return Pass(tuple(actions), max(min(wake), now))

    def _repairs(self, now: float) -> list[Action]:
        store = self._store
        found: list[Action] = []
        suspects: dict[Key, str] = {}
        for batch in store.batches:
            if is_unfinished(store, batch, now):
                suspects[batch.key] = ""
            elif why := oddity(store, batch, now):
                suspects[batch.key] = why
        for key in store.claiming_batches():
            if key not in store.batches:
                suspects[key] = "TestJobs belong to it, but it does not exist"
        for target in store.targets:
            for lease in target.leases:
                key = Key(target.namespace, lease.batch)
                if lease.batch and key not in store.batches and key not in self._gone:
                    suspects[key] = "it holds a device, but does not exist"
        self._recheck = {key: when for key, when in self._recheck.items() if key in suspects}
        for key, why in sorted(suspects.items()):
            if now < self._recheck.get(key, 0.0):
                continue
            self._recheck[key] = now + RECHECK_SECONDS
            known = store.batches.get(key)
            found.append(CheckBatch(key, why) if why or known is None else ResumeBatch(known))
        return found

    def _serve(self, target: TargetView, now: float) -> tuple[Action | None, float]:
        """The target's one action, if any, and when to look again."""
        store = self._store
        live = store.live_batches(target.key)
        held = self._held(target)
        free = [device for device in target.devices if device.name not in held]
        slots = max(target.slots - len(live), 0)
        if target.has_devices:
            slots = min(slots, len(free))
        batches, again = self._batches(target, slots, free, now)
        held |= {batch.device.name: batch.name for batch in batches if batch.device}
        leases = self._leases(target, held, now)
        claimed = sum(len(batch.jobs) for batch in batches)
        counts = TargetCounts(
            slots=target.slots,
            running=len(live) + len(batches),
            waiting=max(store.waiting_at(target.key) - claimed, 0),
        )
        if leases == target.leases and (counts == target.counts or not batches):
            if counts == target.counts:
                return None, again
            due = self._reported.get(target.key, 0.0) + REPORT_SECONDS
            if now < due:
                return None, min(again, due)
        self._reported[target.key] = now
        return UpdateTarget(target, leases, counts, tuple(batches)), again

    def _held(self, target: TargetView) -> dict[str, str]:
        """The devices that a batch has, and which. A batch that is over has none."""
        held = {}
        for lease in target.leases:
            if not lease.batch:
                continue
            key = Key(target.namespace, lease.batch)
            batch = self._store.batches.get(key)
            if batch.over if batch else key in self._gone:
                continue
            held[lease.name] = lease.batch
        # A batch that is live has its device, even where someone has edited the target's status.
        for batch in self._store.live_batches(target.key):
            if batch.device:
                held[batch.device] = batch.name
        return held

    def _leases(self, target: TargetView, held: dict[str, str], now: float) -> tuple[DeviceLease, ...]:
        """The devices' leases as they should read: the spec's devices, then those that were removed while busy."""
        before = {lease.name: lease for lease in target.leases}
        names = [device.name for device in target.devices]
        names += [name for name in held if name not in names]
        leases = []
        for name in names:
            batch = held.get(name, "")
            old = before.get(name)
            if old is not None and old.batch == batch:
                leases.append(old)
            else:
                leases.append(DeviceLease(name, batch, _time(now) if batch else None))
        return tuple(leases)

    def _batches(
        self, target: TargetView, slots: int, free: list[DeviceView], now: float
    ) -> tuple[list[CreateBatch], float]:
        store = self._store
        again = math.inf
        lines: dict[Group, Sequence[JobView]] = {}
        for group, _ in store.groups(target.key):
            hold = self._hold(group, target)
            if hold > now:
                again = min(again, hold)
                continue
            if waiting := [job for job in store.line(group) if not job.cancel]:
                lines[group] = waiting
        batches: list[CreateBatch] = []
        while len(batches) < slots and lines:
            ranked = sorted(lines, key=lambda group: (self._urgency(lines[group]), group))
            group = ranked[0]
            next_head = self._urgency(lines[ranked[1]]) if len(ranked) > 1 else None
            riders = ride(lines[group], next_head, store.ageing_seconds)
            jobs = share(riders, target, slots - len(batches), self.estimates)
            taken = {job.name for job in jobs}
            lines[group] = [job for job in lines[group] if job.name not in taken]
            if not lines[group]:
                del lines[group]
            batches.append(
                CreateBatch(
                    target=target,
                    name=self._new_name(),
                    app_version_id=group.app_version_id,
                    device=free[len(batches)] if target.has_devices else None,
                    jobs=tuple(jobs),
                )
            )
        return batches, again

    def _urgency(self, jobs: Sequence[JobView]) -> float:
        return score(jobs[0], self._store.ageing_seconds)

    def _hold(self, group: Group, target: TargetView) -> float:
        """Until when a group waits because its last batches ended before their first test.

        The TestJobs of such a batch carry their own backoff; this one is for the group's others, which would meet
        the same fault and be charged for it.
        """
        failures = 0
        last: BatchView | None = None
        for batch in reversed(self._store.ended_batches(group)):
            if batch.phase != "Failed" or batch.tests_run:
                break
            failures += 1
            last = last or batch
        if last is None:
            return 0.0
        return (last.finished or last.created) + target.retry.delay(failures)

    def _explanations(self) -> list[Action]:
        found: list[Action] = []
        for key in self._store.wanted_targets():
            if key in self._store.targets:
                continue
            message = (
                f"there is no TestTarget {key.name!r} in namespace {key.namespace!r}: "
                "create it, or submit to another"
            )
            for group, _ in self._store.groups(key):
                found += [
                    ExplainJob(job, TARGET_NOT_FOUND, message)
                    for job in self._store.line(group)
                    if job.reason != TARGET_NOT_FOUND
                ]
        return found


def _time(now: float) -> str:
    return timestamp(datetime.fromtimestamp(now, UTC))
