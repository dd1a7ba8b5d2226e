"""The reflectors that keep the store up to date."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from qgjob.api.constants import BATCH_LABEL, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from testqueue.core.model import BatchView, JobView, KubeJobView, PodView, TargetView
from testqueue.kube.paths import collection
from testqueue.kube.reflector import Reflector

if TYPE_CHECKING:
    from collections.abc import Callable

    from testqueue.core.store import Store, Table, View
    from testqueue.kube.session import ApiSession
    from testqueue.metrics import Metrics

#: What has ended well needs no planning; dead letters stay, for they may be replayed.
UNFINISHED: Final = "status.phase!=Succeeded,status.phase!=Cancelled"

V = TypeVar("V", bound="View")


class _WakingSink(Generic[V]):
    """A table of the store that wakes the planner when something in it has changed."""

    def __init__(self, table: Table[V], wake: Callable[[], None], on_remove: Callable[[V], None]) -> None:
        self._table = table
        self._wake = wake
        self._on_remove = on_remove

    def replace(self, views: list[V], version: int) -> None:
        self._table.replace(views, version)
        self._wake()

    def apply(self, view: V) -> None:
        if self._table.apply(view):
            self._wake()

    def remove(self, view: V) -> None:
        self._on_remove(view)
        if self._table.remove(view):
            self._wake()


class Caches:
    """Reflectors of all that the planner looks at. `changed` is set whenever the store may have changed."""

    def __init__(
        self,
        session: ApiSession,
        store: Store,
        metrics: Metrics,
        *,
        namespace: str,
        on_job_left: Callable[[JobView], None],
        on_jobs_listed: Callable[[], None],
    ) -> None:
        """`on_job_left` is told of each TestJob that was deleted or has ended; its view may be of before that.

        `on_jobs_listed`: the TestJobs were listed anew, and what has left before that was not told.
        """
        self.changed = asyncio.Event()
        self._reflectors: dict[str, Reflector[Any]] = {}

        def reflect(
            plural: str,
            table: Table[V],
            read: Callable[[dict[str, Any]], V],
            *,
            on_remove: Callable[[V], None] = lambda _: None,
            on_list: Callable[[], None] = lambda: None,
            fields: str = "",
            labels: str = "",
        ) -> None:
            count = metrics.relists.labels(resource=plural)

            def listed() -> None:
                count.inc()
                on_list()

            self._reflectors[plural] = Reflector(
                session,
                collection(plural, namespace),
                _WakingSink(table, self.changed.set, on_remove),
                read,
                on_list=listed,
                field_selector=fields,
                label_selector=labels,
            )

        reflect(
            TEST_JOBS,
            store.jobs,
            JobView.from_object,
            on_remove=on_job_left,
            on_list=on_jobs_listed,
            fields=UNFINISHED,
        )
        reflect(TEST_BATCHES, store.batches, BatchView.from_object)
        reflect(TEST_TARGETS, store.targets, TargetView.from_object)
        reflect("pods", store.pods, PodView.from_object, labels=BATCH_LABEL)
        reflect("jobs", store.kube_jobs, KubeJobView.from_object, labels=BATCH_LABEL)

    def unsynced(self) -> list[str]:
        """The resources that were not listed yet."""
        return [name for name, reflector in self._reflectors.items() if not reflector.synced.is_set()]

    async def synced(self) -> None:
        """Wait until everything was listed once."""
        for reflector in self._reflectors.values():
            await reflector.synced.wait()

    async def run(self) -> None:
        """Keep the store up to date until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, reflector in self._reflectors.items():
                tasks.create_task(reflector.run(), name=f"reflect {name}")
