"""Reads and guarded writes of single objects, whose answers go into the store at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import BATCH_LABEL, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from testqueue.core.model import BatchView, JobView, Key, KubeJobView, PodView, TargetView
from testqueue.kube.errors import ApiError
from testqueue.kube.paths import collection, item

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testqueue.core.store import Store
    from testqueue.kube.session import ApiSession, Object


class Objects:
    """The cluster's objects as this operator reads and writes them.

    Reads go to the API server, not to the cache. `guard` runs before each write, and raises when this replica
    does not lead. A write raises ApiError (409 where its precondition failed) or Unreachable.
    """

    def __init__(
        self, session: ApiSession, store: Store, guard: Callable[[], None], concurrency: int
    ) -> None:
        """`concurrency`: requests at once; the others wait for their turn."""
        self._session = session
        self._store = store
        self._guard = guard
        self._turn = asyncio.Semaphore(concurrency)

    async def job(self, key: Key) -> Object | None:
        """A TestJob, if it exists."""
        return await self._get(item(TEST_JOBS, *key))

    async def batch(self, key: Key) -> BatchView | None:
        """A TestBatch, if it exists."""
        found = await self._get(item(TEST_BATCHES, *key))
        return self._took_batch(found) if found else None

    async def target(self, key: Key) -> TargetView | None:
        """A TestTarget, if it exists."""
        found = await self._get(item(TEST_TARGETS, *key))
        return self._took_target(found) if found else None

    async def kube_job(self, key: Key) -> KubeJobView | None:
        """A batch's Kubernetes Job, if it exists."""
        found = await self._get(item("jobs", *key))
        return KubeJobView.from_object(found) if found else None

    async def pods_of(self, batch: Key) -> list[PodView]:
        """The pods that carry a batch's label."""
        selector = f"{BATCH_LABEL}={batch.name}"
        async with self._turn:
            found = await self._session.items(collection("pods", batch.namespace), label_selector=selector)
        return [PodView.from_object(pod) for pod in found]

    async def events_of(self, pod: PodView, reason: str) -> list[Object]:
        """The Events about a pod with a reason, as long as Kubernetes keeps them."""
        selector = f"involvedObject.uid={pod.uid},reason={reason}"
        async with self._turn:
            return await self._session.items(collection("events", pod.namespace), field_selector=selector)

    async def jobs_of(self, batch: Key) -> list[Object]:
        """The TestJobs that say they belong, or last belonged, to a batch."""
        path, selector = collection(TEST_JOBS, batch.namespace), f"status.batch={batch.name}"
        async with self._turn:
            return await self._session.items(path, field_selector=selector)

    async def change_job(self, job: Object, changes: lifecycle.Changes) -> Object:
        """Patch a TestJob's status; holds only for the version of `job`."""
        meta = job["metadata"]
        path = item(TEST_JOBS, meta["namespace"], meta["name"], "status")
        answer = await self._patch(path, lifecycle.merge_patch(meta["resourceVersion"], changes))
        self._store.jobs.apply(JobView.from_object(answer))
        return answer

    async def change_viewed_job(self, job: JobView, changes: lifecycle.Changes) -> None:
        """The same from a cached view."""
        path = item(TEST_JOBS, job.namespace, job.name, "status")
        answer = await self._patch(path, lifecycle.merge_patch(str(job.version), changes))
        self._store.jobs.apply(JobView.from_object(answer))

    async def create_batch(self, namespace: str, body: Object) -> BatchView:
        """Create a TestBatch."""
        async with self._turn:
            answer = await self._session.create(collection(TEST_BATCHES, namespace), body, guard=self._guard)
        return self._took_batch(answer)

    async def change_batch(self, batch: BatchView, status: Mapping[str, Any]) -> BatchView:
        """Patch a TestBatch's status; holds only for the version of `batch`."""
        path = item(TEST_BATCHES, batch.namespace, batch.name, "status")
        answer = await self._patch(path, _exactly(batch, status))
        return self._took_batch(answer)

    async def ask_to_yield(self, batch: BatchView) -> BatchView:
        """Set a TestBatch's spec.yield; holds only for the version of `batch`."""
        precondition = {"resourceVersion": str(batch.version), "uid": batch.uid}
        body = {"metadata": precondition, "spec": {"yield": True}}
        return self._took_batch(await self._patch(item(TEST_BATCHES, batch.namespace, batch.name), body))

    async def change_target(self, target: TargetView, status: Mapping[str, Any]) -> TargetView:
        """Patch a TestTarget's status; holds only for the version of `target`."""
        path = item(TEST_TARGETS, target.namespace, target.name, "status")
        return self._took_target(await self._patch(path, _exactly(target, status)))

    async def create_kube_job(self, namespace: str, body: Object) -> None:
        """Create a batch's Kubernetes Job; that it exists already is success."""
        try:
            async with self._turn:
                answer = await self._session.create(collection("jobs", namespace), body, guard=self._guard)
        except ApiError as error:
            if not error.already_exists:
                raise
        else:
            self._store.kube_jobs.apply(KubeJobView.from_object(answer))

    async def delete(self, plural: str, key: Key, uid: str, version: int | None = None) -> None:
        """Delete exactly that object, and in the background what it owns; that it is gone already is success."""
        preconditions = {"uid": uid}
        if version is not None:
            preconditions["resourceVersion"] = str(version)
        options = {"preconditions": preconditions, "propagationPolicy": "Background"}
        try:
            async with self._turn:
                await self._session.delete(item(plural, *key), options, guard=self._guard)
        except ApiError as error:
            if not error.is_not_found:
                raise

    async def _get(self, path: str) -> Object | None:
        try:
            async with self._turn:
                return await self._session.get(path)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise

    async def _patch(self, path: str, body: Object) -> Object:
        async with self._turn:
            return await self._session.patch(path, body, guard=self._guard)

    def _took_target(self, obj: Object) -> TargetView:
        view = TargetView.from_object(obj)
        self._store.targets.apply(view)
        return view

    def _took_batch(self, obj: Object) -> BatchView:
        view = BatchView.from_object(obj)
        self._store.batches.apply(view)
        return view


def _exactly(view: BatchView | TargetView, status: Mapping[str, Any]) -> Object:
    """A patch of the status that holds only for this version of this very object."""
    return {"metadata": {"resourceVersion": str(view.version), "uid": view.uid}, "status": dict(status)}
