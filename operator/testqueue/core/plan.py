"""The planner: from what is known to what is to be done.

    Store + now ──▶ [cancels, replays] [repairs] [per target: free devices, new batches, counts] [explanations]

Level-triggered: each pass looks at the whole state, so an action that failed is simply planned again. The planner
keeps only what may be forgotten: when it last nominated or reported what, and the durations it has learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle
from testqueue.core.actions import (
    Action,
    CancelJob,
    CheckBatch,
    CreateBatch,
    ExplainJob,
    ReplayJob,
    ResumeBatch,
    UpdateTarget,
    YieldBatch,
)
from testqueue.core.addresses import Addresses
from testqueue.core.estimates import Estimates
from testqueue.core.gathering import Gathering
from testqueue.core.model import Key, TargetCounts
from testqueue.core.nominate import RECHECK_SECONDS, SETTLE_SECONDS, is_unfinished, oddity
from testqueue.core.pool import Pool
from testqueue.core.quotas import Quotas
from testqueue.core.turns import Kept, Turns
from testqueue.core.yields import Yields

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.model import DeviceView, Group, Lane, TargetView
    from testqueue.core.store import Store

#: A target's counts alone are written at most so often: API writes are what to save.
REPORT_SECONDS: Final = 5.0
TARGET_NOT_FOUND: Final = "TargetNotFound"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass' outcome: what to do, and when to look again at the latest (seconds since the epoch)."""

    actions: tuple[Action, ...]
    look_again: float


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a batch may begin: on a device, or, where the target has none, in a slot."""

    device: DeviceView | None = None
    rivals: tuple[Key, ...] = ()
    trial: bool = False


class Planner:
    """Plans one pass after another. `new_name` gives a fresh batch name at each call."""

    def __init__(self, store: Store, new_name: Callable[[], str], *, gather_seconds: float = 0.0) -> None:
        """`gather_seconds`: a new lane's first batch waits until nobody has joined it for so long."""
        self._gathering = Gathering(gather_seconds)
        self.estimates = Estimates()
        self._store = store
        self._new_name = new_name
        self._recheck: dict[Key, float] = {}
        self._reported: dict[Key, float] = {}
        self._gone: set[Key] = set()
        self._explained: dict[Lane, int] = {}
        self._quotas = Quotas(store)
        self._yields = Yields(store, self.estimates)

    def check_again(self, batch: Key, when: float) -> None:
        """A live look found nothing to do yet: not again before this time."""
        self._recheck[batch] = when

    def mark_gone(self, batch: Key) -> None:
        """A live look has shown that the batch does not exist and nothing of it can run: its device is free."""
        self._gone.add(batch)

    def holds(self, batch: Key) -> bool:
        """Whether a batch may still use the device that was leased to it. One that is over does not."""
        known = self._store.batches.get(batch)
        return not known.over if known else batch not in self._gone

    def plan(self, now: float) -> Pass:
        """What to do now."""
        store = self._store
        store.advance(now)
        actions: list[Action] = [CancelJob(job) if job.cancel else ReplayJob(job) for job in store.urgent()]
        actions += self._repairs(now)
        wake = [store.next_due or math.inf, now + RECHECK_SECONDS]
        addresses = Addresses(store, self.holds)
        for target in store.targets:
            found, again = self._serve(target, addresses, now)
            actions += found
            wake.append(again)
        explanations, again = self._explanations(now)
        actions += explanations
        wake.append(again)
        claimed = _claimed(actions)
        actions += self._take_backs(claimed)
        beyond, again = self._quotas.beyond(claimed, now)
        actions += beyond
        wake.append(again)
        return Pass(tuple(actions), max(min(wake), now))

    def _repairs(self, now: float) -> list[Action]:
        store = self._store
        found: list[Action] = []
        suspects: dict[Key, str] = {}
        claimed = [batch for key in store.claiming_batches() if (batch := store.batches.get(key))]
        for batch in (*store.all_live_batches(), *(batch for batch in claimed if batch.over)):
            if is_unfinished(store, batch, now):
                suspects[batch.key] = ""
            elif why := oddity(store, batch, now):
                suspects[batch.key] = why
        for key in store.claiming_batches():
            if key not in store.batches:
                suspects[key] = "TestJobs belong to it, but it does not exist"
        leased = {
            Key(target.namespace, lease.batch)
            for target in store.targets
            for lease in target.leases
            if lease.batch
        }
        self._gone &= leased
        for key in leased - self._gone:
            if key not in store.batches:
                suspects[key] = "it holds a device, but does not exist"
        self._recheck = {key: when for key, when in self._recheck.items() if key in suspects}
        for key, why in sorted(suspects.items()):
            if now < self._recheck.get(key, 0.0):
                continue
            self._recheck[key] = now + RECHECK_SECONDS
            known = store.batches.get(key)
            found.append(CheckBatch(key, why) if why or known is None else ResumeBatch(known))
        return found

    def _serve(self, target: TargetView, addresses: Addresses, now: float) -> tuple[list[Action], float]:
        """The target's actions, and when to look again."""
        store = self._store
        live = store.live_batches(target.key)
        pool = Pool(target, store, addresses, self.holds, now) if target.has_devices else None
        # A device that a batch holds which is gone from view counts as one that runs.
        held = pool.held.values() if pool else ()
        running = len({*(batch.name for batch in live), *held})
        openings = self._openings(target, pool, running, addresses)
        batches: list[CreateBatch] = []
        found: list[Action] = []
        again, gathering = math.inf, False
        if store.is_wanted(target.key) and (openings or self._yields.is_time(target.key, now)):
            turns = self._turns(target, running + len(openings), now)
            batches = self._batches(target, openings, turns)
            if yielding := self._yields.choose(target.key, live, turns.next_score(), now):
                found.append(YieldBatch(yielding))
            again, gathering = turns.again, turns.keeps
        for batch in batches:
            if pool and batch.device:
                pool.lease(batch.device, batch.name)
        leases = pool.leases() if pool else ()
        claimed = sum(len(batch.jobs) for batch in batches)
        counts = TargetCounts(
            slots=pool.slots if pool else target.slots,
            running=running + len(batches),
            waiting=max(store.waiting_at(target.key) - claimed, 0),
        )
        if pool:
            again = min(again, pool.next_trial)
        if not batches and leases == target.leases:
            if counts == target.counts:
                return found, again
            due = self._reported.get(target.key, 0.0) + REPORT_SECONDS
            if gathering:
                # The counts go with the batch that is about to come: one write less.
                due = max(due, again)
            if now < due:
                return found, min(again, due)
        self._reported[target.key] = now
        return [*found, UpdateTarget(target, leases, counts, tuple(batches))], again

    def _openings(
        self, target: TargetView, pool: Pool | None, running: int, addresses: Addresses
    ) -> list[Opening]:
        """Where batches may begin now: on healthy devices first, then on those that are on probation."""
        if pool is None:
            return [Opening()] * max(target.slots - running, 0)
        openings = [
            *(Opening(device, addresses.rivals(target.key, device)) for device in pool.healthy),
            *(Opening(device, addresses.rivals(target.key, device), trial=True) for device in pool.on_trial),
        ]
        if target.parallelism is None:
            return openings
        return openings[: max(target.parallelism - running, 0)]

    def _turns(self, target: TargetView, slots: int, now: float) -> Turns:
        return Turns(
            target,
            self._store,
            self.estimates,
            slots=slots,
            hold=lambda group: self._hold(group, target),
            gathered=lambda lane: self._gathered(lane, now),
            now=now,
        )

    def _batches(self, target: TargetView, openings: list[Opening], turns: Turns) -> list[CreateBatch]:
        batches: list[CreateBatch] = []
        ordinary = sum(not opening.trial for opening in openings)
        for index, opening in enumerate(openings):
            # A device on probation gets one TestJob, and none that a healthy one could have had.
            formed = turns.form(max(ordinary - index, 1), trial=opening.trial)
            if formed is None:
                break
            if isinstance(formed, Kept):
                continue
            batches.append(
                CreateBatch(
                    target=target,
                    name=self._new_name(),
                    app_version_id=formed.lane.app_version_id,
                    device=opening.device,
                    jobs=formed.jobs,
                    seconds=formed.seconds,
                    turn=formed.turn,
                    trial=opening.trial,
                    rivals=opening.rivals,
                )
            )
        return batches

    def _gathered(self, lane: Lane, now: float) -> float:
        """Until when a lane is left to grow before its first batch."""
        [first] = self._store.line(lane, most=1)
        changes = self._store.waiting_line(lane).changes
        return self._gathering.until(lane, queued=first.queued, changes=changes, now=now)

    def _hold(self, group: Group, target: TargetView) -> float:
        """Until when a group waits because its last batch ended before its first test.

        The TestJobs that were charged for that carry their own backoff; the group's others would meet the same
        fault and be charged too, so they wait for the first of those. Nothing is held where nobody was charged:
        an eviction, or a mistake of who submitted.
        """
        last = self._store.last_ended_batch(group)
        if last is None or last.phase != "Failed" or last.tests_run or not last.infrastructure:
            return 0.0
        charged = [
            job.due
            for entry in last.entries
            if (job := self._store.jobs.get(Key(last.namespace, entry.name)))
            and job.phase == lifecycle.RETRYING
            and job.batch == last.name
        ]
        return min(charged, default=(last.finished or last.created) + target.retry.delay(1))

    def _explanations(self, now: float) -> tuple[list[Action], float]:
        """TestJobs whose target does not exist are told so, once. A line that was gone through is left alone."""
        store = self._store
        found: list[Action] = []
        again = math.inf
        explained: dict[Lane, int] = {}
        for key in store.wanted_targets():
            if key in store.targets:
                continue
            message = (
                f"there is no TestTarget {key.name!r} in namespace {key.namespace!r}: "
                "create it, or submit to another"
            )
            for lane in [head.lane for heads in store.heads(key).values() for head in heads]:
                changes = store.waiting_line(lane).changes
                if self._explained.get(lane) == changes:
                    explained[lane] = changes
                    continue
                silent = [job for job in store.line(lane) if job.reason != TARGET_NOT_FOUND]
                # Who applies a target and its TestJobs together means no harm: the one may be seen first.
                ready = [job for job in silent if now >= job.queued + SETTLE_SECONDS]
                found += [ExplainJob(job, TARGET_NOT_FOUND, message) for job in ready]
                if not silent:
                    explained[lane] = changes
                elif len(ready) < len(silent):
                    again = now + SETTLE_SECONDS
        self._explained = explained
        return found, again

    def _take_backs(self, claimed: set[Key]) -> list[Action]:
        """What was said about a target that exists by now, of TestJobs whose turn has not come yet."""
        return [
            ExplainJob(job, "", "")
            for target in self._store.targets
            for job in self._store.waiting_because(target.key, TARGET_NOT_FOUND)
            if not job.cancel and job.key not in claimed
        ]


def _claimed(planned: list[Action]) -> set[Key]:
    """The TestJobs that a pass puts into batches."""
    return {
        job.key
        for action in planned
        if isinstance(action, UpdateTarget)
        for batch in action.batches
        for job in batch.jobs
    }
