"""One replica of the operator: its parts, put together, started and stopped in the right order."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from testqueue.core.plan import Planner
from testqueue.core.store import Store
from testqueue.handlers.registry import build_registry
from testqueue.handlers.thread import KopfThread
from testqueue.kube.caches import Caches
from testqueue.kube.creation import BatchCreation
from testqueue.kube.endpoints import BEAT_SECONDS, Endpoints, Heartbeat
from testqueue.kube.lease import Lease, LeaseTimes
from testqueue.kube.loop import Loop
from testqueue.kube.names import new_batch_name
from testqueue.kube.objects import Objects
from testqueue.kube.observe import BatchObserver
from testqueue.kube.provision import Provisioning
from testqueue.kube.refusals import Refusals
from testqueue.kube.repair import Repairs
from testqueue.kube.ttl import Expiry
from testqueue.kube.writer import Writer
from testqueue.pods import Images

if TYPE_CHECKING:
    import kopf

    from testqueue.kube.credentials import Credentials
    from testqueue.kube.session import ApiSession
    from testqueue.metrics import Metrics
    from testqueue.settings import Settings

logger = logging.getLogger(__name__)
#: At SIGTERM: the pass that is under way may finish its writes, then kopf its own end. What is cut off by that is
#: what a crash would have cut off, and is repaired in the same way. With the Lease's release it stays under 10 s.
FINISH_SECONDS: Final = 5.0
KOPF_SECONDS: Final = 1.0


class Operator:
    """`run` until `stop`. To be made inside of the event loop that it runs in."""

    def __init__(self, settings: Settings, session: ApiSession, user: Credentials, metrics: Metrics) -> None:
        self._settings = settings
        self._user = user
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._lease = Lease(
            session,
            settings.lease_namespace,
            settings.lease_name,
            settings.identity,
            LeaseTimes(
                settings.lease_duration_seconds,
                settings.lease_renew_deadline_seconds,
                settings.lease_retry_seconds,
            ),
        )
        observer = BatchObserver(metrics, lambda: self._lease.held)
        store = Store(settings.ageing_seconds, observer.changed)
        planner = Planner(store, new_batch_name, gather_seconds=settings.gather_seconds)
        observer.attach(planner.estimates)
        metrics.watch_queue(store.waiting)
        metrics.watch_devices(store.device_states)
        objects = Objects(session, store, self._lease.guard, settings.write_concurrency)
        self._expiry = Expiry(
            session,
            objects,
            store,
            namespace=settings.namespace,
            job_ttl=settings.ttl_seconds_after_finished,
            batch_ttl=settings.batch_ttl_seconds,
            on_ended=planner.estimates.remember,
            clock=time.time,
        )
        self._caches = Caches(
            session,
            store,
            metrics,
            namespace=settings.namespace,
            on_job_left=self._expiry.job_left,
            on_jobs_listed=self._expiry.jobs_listed,
        )
        self._provisioning = Provisioning(session, self._lease.guard, store.last_ended_at)
        self._refusals = Refusals(objects, store, self._provisioning, time.time)
        creation = BatchCreation(
            objects,
            store,
            Images(settings.runner_image, settings.appwright_image),
            set_up=self._provisioning.set_up,
            on_gone=planner.mark_gone,
        )
        repairs = Repairs(objects, store, planner, time.time, on_no_start=self._provisioning.doubt)
        writer = Writer(
            objects,
            creation,
            repairs,
            planner,
            metrics=metrics,
            clock=time.time,
            wake=self._caches.changed.set,
        )
        self._heartbeat = Heartbeat()
        self._loop = Loop(planner, writer, self._caches.changed, metrics, on_turn=self._heartbeat.beat)
        self._kopf = KopfThread(settings.namespace)
        self._endpoints = Endpoints(metrics, self._heartbeat, self._caches.unsynced)

    def stop(self) -> None:
        """End in good order. May be called more than once."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped.

        Raises LeaseLostError when this replica led and must not go on, and OSError when its port is taken.
        """
        port = await self._endpoints.start(self._settings.metrics_host, self._settings.metrics_port)
        logger.info("serving metrics and probes on port %d", port)
        leading = asyncio.create_task(self._lead(), name="lead")
        tasks = [
            leading,
            asyncio.create_task(self._caches.run(), name="caches"),
            asyncio.create_task(self._lease.run(), name="lease"),
        ]
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._loop.stop()
            if self._lease.held:
                await asyncio.wait([leading], timeout=FINISH_SECONDS)
        finally:
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.wait([stopped, *tasks], timeout=1.0)
            await self._lease.release()
            await self._kopf.stop(KOPF_SECONDS)
            await self._endpoints.close()

    async def _lead(self) -> None:
        """Wait until this replica leads, and knows all there is; then plan and write until the loop is stopped."""
        for condition in (self._caches.synced, self._lease.acquired.wait):
            waiting = asyncio.ensure_future(condition())
            while not waiting.done():
                self._heartbeat.beat()
                await asyncio.wait([waiting], timeout=BEAT_SECONDS)
        self._metrics.leader.set(1)
        self._kopf.start(self._registry)
        async with asyncio.TaskGroup() as tasks:
            cleaning = tasks.create_task(self._expiry.run(), name="expiry")
            await self._loop.run()
            cleaning.cancel()

    def _registry(self) -> kopf.OperatorRegistry:
        return build_registry(
            self._user, self._provisioning, self._refusals, in_main_loop=self._kopf.in_main_loop
        )
