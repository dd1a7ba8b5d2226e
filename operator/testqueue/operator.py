"""One replica of the operator: its parts, put together, started and stopped in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

import kopf

from testqueue.core.plan import Planner
from testqueue.core.store import Store
from testqueue.handlers.registry import build_registry, build_settings
from testqueue.kube.caches import Caches
from testqueue.kube.creation import BatchCreation
from testqueue.kube.credentials import credentials
from testqueue.kube.endpoints import BEAT_SECONDS, Endpoints, Heartbeat
from testqueue.kube.lease import Lease, LeaseTimes
from testqueue.kube.loop import Loop
from testqueue.kube.names import new_batch_name
from testqueue.kube.objects import Objects
from testqueue.kube.observe import BatchObserver
from testqueue.kube.paths import resource_of
from testqueue.kube.provision import Provisioning
from testqueue.kube.refusals import Refusals
from testqueue.kube.repair import Repairs
from testqueue.kube.session import ApiSession
from testqueue.kube.ttl import Expiry
from testqueue.kube.writer import Writer
from testqueue.metrics import Metrics
from testqueue.pods import Images

if TYPE_CHECKING:
    from testqueue.settings import Settings

logger = logging.getLogger(__name__)
#: A pass that is under way at SIGTERM may finish its writes in so many seconds; Kubernetes' rules repair the rest.
FINISH_SECONDS: Final = 6.0


class Operator:
    """`run` until `stop`; raises LeaseLostError when it led and must not go on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End in good order. May be called more than once."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped."""
        settings = self._settings
        metrics = Metrics()
        user = credentials(settings.kubeconfig, settings.context)

        def count_write(verb: str, path: str, code: str) -> None:
            metrics.api_writes.labels(verb=verb, resource=resource_of(path), code=code).inc()

        async with ApiSession(user, count_write=count_write) as session:
            lease = Lease(
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
            observer = BatchObserver(metrics, lambda: lease.held)
            store = Store(settings.ageing_seconds, observer.changed)
            planner = Planner(store, new_batch_name)
            observer.attach(store, planner.estimates)
            metrics.watch_queue(store.waiting)
            objects = Objects(session, store, lease.guard)
            concurrency = asyncio.Semaphore(settings.write_concurrency)
            images = Images(settings.runner_image, settings.appwright_image)
            expiry = Expiry(
                session,
                objects,
                store,
                namespace=settings.namespace,
                job_ttl=settings.ttl_seconds_after_finished,
                batch_ttl=settings.batch_ttl_seconds,
                clock=time.time,
            )
            caches = Caches(
                session, store, metrics, namespace=settings.namespace, on_job_left=expiry.job_left
            )
            writer = Writer(
                objects,
                BatchCreation(objects, store, images, concurrency),
                Repairs(objects, store, planner, time.time),
                metrics=metrics,
                concurrency=concurrency,
                clock=time.time,
            )
            loop = Loop(planner, writer, caches.changed, metrics)
            provisioning = Provisioning(session, lease.guard)
            registry = build_registry(user, provisioning, Refusals(objects, store))
            heartbeat = Heartbeat()
            endpoints = Endpoints(metrics, heartbeat, caches.unsynced)
            port = await endpoints.start(settings.metrics_host, settings.metrics_port)
            logger.info("serving metrics and probes on port %d", port)

            async def lead() -> None:
                await caches.synced()
                await lease.acquired.wait()
                metrics.leader.set(1)
                kopf_stop = asyncio.Event()
                kopf_task = asyncio.create_task(
                    kopf.operator(
                        registry=registry,
                        settings=build_settings(),
                        standalone=True,
                        clusterwide=not settings.namespace,
                        namespaces=[settings.namespace] if settings.namespace else [],
                        stop_flag=kopf_stop,
                    ),
                    name="kopf",
                )
                expiry_task = asyncio.create_task(expiry.run(), name="expiry")
                try:
                    await _first(asyncio.create_task(loop.run(), name="loop"), kopf_task, expiry_task)
                finally:
                    kopf_stop.set()
                    expiry_task.cancel()
                    await asyncio.wait([kopf_task, expiry_task], timeout=2.0)

            async def beat() -> None:
                while True:
                    heartbeat.beat()
                    await asyncio.sleep(BEAT_SECONDS)

            background = [
                asyncio.create_task(work, name=name)
                for name, work in (("caches", caches.run()), ("lease", lease.run()), ("beat", beat()))
            ]
            leading = asyncio.create_task(lead(), name="lead")
            stopped = asyncio.create_task(self._stop.wait(), name="stop")
            try:
                await _first(stopped, leading, *background)
                loop.stop()
                if lease.held:
                    await asyncio.wait([leading], timeout=FINISH_SECONDS)
            finally:
                for task in (leading, stopped, *background):
                    task.cancel()
                await asyncio.wait([leading, stopped, *background], timeout=1.0)
                await lease.release()
                await endpoints.close()


async def _first(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    """Wait until one of them ends; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
