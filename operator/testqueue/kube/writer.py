"""Carries the planner's actions out. An action that fails is logged and planned again; it never stops the others."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle
from testqueue.core.actions import (
    Action,
    CancelJob,
    CheckBatch,
    CreateBatch,
    ExplainJob,
    RefuseJob,
    ReplayJob,
    ResumeBatch,
    UpdateTarget,
    YieldBatch,
)
from testqueue.core.addresses import is_taken
from testqueue.core.model import JobView, Key
from testqueue.kube.aside import Aside
from testqueue.kube.errors import ApiError, NotLeaderError, Unreachable
from testqueue.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from testqueue.core.plan import Planner
    from testqueue.kube.creation import BatchCreation
    from testqueue.kube.objects import Objects
    from testqueue.kube.repair import Repairs
    from testqueue.metrics import Metrics

logger = logging.getLogger(__name__)


#: After a failure at a target, nothing is tried for it so long.
HOLD_SECONDS: Final = 2.0


class Writer:
    """Runs the actions of one pass side by side: new batches at once, all else beside the passes."""

    def __init__(
        self,
        objects: Objects,
        creation: BatchCreation,
        repairs: Repairs,
        planner: Planner,
        *,
        metrics: Metrics,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """`clock` tells seconds since the epoch; `wake` has the planner look again."""
        self._objects = objects
        self._creation = creation
        self._repairs = repairs
        self._planner = planner
        self._metrics = metrics
        self._clock = clock
        self._wake = wake
        self._aside = Aside(self._run_aside)
        self._held: dict[Key, float] = {}

    async def run(self, actions: Sequence[Action]) -> None:
        """Carry them out. Returns when the targets have what was planned for them, or a failure is their answer."""
        targets = []
        for action in actions:
            if not isinstance(action, UpdateTarget | CreateBatch):
                self._aside.add(
                    _subject(action), action, pressing=not isinstance(action, ExplainJob | RefuseJob)
                )
            elif self._held.get(action.target.key, 0.0) <= self._clock():
                targets.append(action)
        await asyncio.gather(*(self._run_for_target(action) for action in targets))

    async def finish(self) -> None:
        """Begin nothing more beside the passes, and wait for what has begun."""
        await self._aside.finish()

    async def _run_for_target(self, action: UpdateTarget | CreateBatch) -> None:
        if not await self._run_one(action):
            # What was refused (a quota, a namespace that is being deleted) would be planned again at once.
            self._held[action.target.key] = self._clock() + HOLD_SECONDS

    async def _run_aside(self, action: Action) -> None:
        await self._run_one(action)
        if isinstance(action, CheckBatch):
            self._wake()  # a device may be free that no event will tell of

    async def _run_one(self, action: Action) -> bool:
        kind = type(action).__name__
        self._metrics.actions.labels(action=kind).inc()
        try:
            await self._dispatch(action)
        except ApiError as error:
            if error.is_conflict or error.is_not_found:
                logger.debug("%s met another change: %s", kind, error)
                return True
            logger.warning("%s: %s", kind, error)
        except Unreachable as error:
            # It may have been carried out; the watch or the next live look will tell.
            logger.warning("%s: %s", kind, error)
        except NotLeaderError:
            logger.debug("%s: not leading any more", kind)
        except Exception:
            # One odd object must not stop the work on all others.
            logger.exception("%s failed in a way that it should not", kind)
        else:
            return True
        self._metrics.action_failures.labels(action=kind).inc()
        return False

    async def _dispatch(self, action: Action) -> None:
        match action:
            case UpdateTarget():
                await self._update_target(action)
            case CreateBatch():
                await self._create(action)
            case ResumeBatch(batch):
                await self._creation.resume(batch)
            case YieldBatch(batch):
                logger.info(
                    "yields to more urgent TestJobs",
                    extra=about(namespace=batch.namespace, batch=batch.name, target=batch.target),
                )
                await self._objects.ask_to_yield(batch)
            case CheckBatch(key, why):
                await self._repairs.check(key, why)
            case CancelJob(job):
                await self._change_live(job, lambda status, _: lifecycle.cancel(status, self._now()))
            case ReplayJob(job):
                await self._change_live(
                    job, lambda status, spec: lifecycle.replay(status, spec.get("replays", 0), self._now())
                )
            case RefuseJob(job, reason, message):
                await self._change_live(
                    job, lambda status, _: lifecycle.refuse(status, reason, message, self._now())
                )
            case ExplainJob(job, reason, message):
                await self._objects.change_viewed_job(
                    job, {"reason": reason, "message": lifecycle.clip(message)}
                )

    async def _update_target(self, action: UpdateTarget) -> None:
        target = action.target
        status: dict[str, Any] = {
            "slots": action.counts.slots,
            "running": action.counts.running,
            "waiting": action.counts.waiting,
            "devices": [lease.to_object() for lease in action.leases],
        }
        if target.has_devices or not action.batches:
            try:
                await self._objects.change_target(target, status)
            except (ApiError, Unreachable) as error:
                if not (error.is_ambiguous and action.batches and await self._has_leases(action)):
                    raise
        # Without devices there is nothing to lease: the counts follow with the next report.
        await asyncio.gather(*(self._run_for_target(batch) for batch in action.batches))

    async def _has_leases(self, action: UpdateTarget) -> bool:
        """Whether the leases were written although the answer was lost; their batches would wait in vain else."""
        live = await self._objects.target(action.target.key)
        return live is not None and live.uid == action.target.uid and live.leases == action.leases

    async def _create(self, action: CreateBatch) -> None:
        context = about(namespace=action.namespace, batch=action.name, target=action.target.name)
        if await self._meets_a_rival(action):
            logger.info("another target has leased the same address a moment ago", extra=context)
            self._planner.mark_gone(Key(action.namespace, action.name))
            self._wake()
            return
        won = await self._creation.create(action)
        now = self._clock()
        labels = {"namespace": action.namespace, "target": action.target.name}
        for job in won:
            self._metrics.waiting_seconds.labels(**labels).observe(max(now - max(job.queued, job.due), 0.0))
        logger.info("batch of %d TestJobs of app version %s", len(won), action.app_version_id, extra=context)

    async def _meets_a_rival(self, action: CreateBatch) -> bool:
        """Whether the device's address is leased by another target, too, whose lease no cache has shown."""
        if action.device is None or not action.rivals:
            return False
        rivals = await asyncio.gather(*(self._objects.target(key) for key in action.rivals))
        return is_taken(action.device.address, filter(None, rivals), self._planner.holds)

    async def _change_live(
        self, job: JobView, change: Callable[[dict[str, Any], dict[str, Any]], lifecycle.Changes]
    ) -> None:
        live = await self._objects.job(Key(job.namespace, job.name))
        if live is None or live["metadata"]["uid"] != job.uid:
            return
        try:
            changes = change(live.get("status") or {}, live["spec"])
        except lifecycle.TransitionError:
            return  # it has moved on since it was planned
        await self._objects.change_job(live, changes)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _subject(action: Action) -> Hashable:
    """What tells whether an action is the same work as another one."""
    match action:
        case ResumeBatch(batch):
            return "batch", batch.key
        case CheckBatch(key, _):
            return "batch", key
        case YieldBatch(batch):
            return "yield", batch.key
        case CancelJob(job) | ReplayJob(job) | ExplainJob(job) | RefuseJob(job):
            return "job", job.uid
        case _:
            raise TypeError(f"{type(action).__name__} belongs to a pass")
