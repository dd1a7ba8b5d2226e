"""What the operator knows of the cluster: the newest views, and the waiting TestJobs in order.

A cache: it can be thrown away and listed anew at any time. The reflectors feed it, and so does the writer with
the answers to its own writes, so that the next pass sees them without waiting for the watch. The newest
resourceVersion of an object wins, whichever way it came.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from qgjob.api import lifecycle
from testqueue.core.model import BatchView, Group, JobView, Key, KubeJobView, PodView, TargetView
from testqueue.core.order import score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: Deleted objects that are remembered, so that an older view of one does not bring it back.
_TOMBSTONES: Final = 10_000


class View(Protocol):
    """What a table needs of a view."""

    @property
    def key(self) -> Key: ...

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=View)


class Table(Generic[V]):
    """The newest views of one resource, by namespace and name."""

    def __init__(self, on_change: Callable[[V | None, V | None], None] = lambda _old, _new: None) -> None:
        """`on_change` is told of each change: the old view or None, and the new one or None."""
        self._views: dict[Key, V] = {}
        self._gone: OrderedDict[Key, int] = OrderedDict()
        self._on_change = on_change

    def get(self, key: Key) -> V | None:
        """The newest view of an object, if it is there."""
        return self._views.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._views

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[V]:
        return iter(tuple(self._views.values()))

    def apply(self, view: V) -> bool:
        """Take a view of an object that exists; tells whether it was news."""
        key = view.key
        old = self._views.get(key)
        if (old is not None and old.version >= view.version) or self._gone.get(key, -1) >= view.version:
            return False
        self._views[key] = view
        self._on_change(old, view)
        return True

    def remove(self, view: V) -> bool:
        """The object was deleted, or left the selection, at the view's version."""
        key = view.key
        old = self._views.get(key)
        if old is not None and old.version > view.version:
            return False  # news of the object before: one of the same name was made since
        self._bury(key, view.version)
        if old is None:
            return False
        del self._views[key]
        self._on_change(old, None)
        return True

    def replace(self, views: Iterable[V], version: int) -> None:
        """These were all there were at that version; what is known to be newer stays."""
        listed = {view.key: view for view in views}
        for key, old in list(self._views.items()):
            if key not in listed and old.version <= version:
                self._bury(key, old.version)
                del self._views[key]
                self._on_change(old, None)
        for view in listed.values():
            self.apply(view)

    def _bury(self, key: Key, version: int) -> None:
        self._gone[key] = max(version, self._gone.pop(key, -1))
        while len(self._gone) > _TOMBSTONES:
            self._gone.popitem(last=False)


#: A waiting TestJob's place in its group: its score, then its name, so that the order is total.
Place = tuple[float, str]


class Line:
    """The TestJobs of one group that may run now, first one first."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._places)

    @property
    def head(self) -> float:
        """The lowest score, which is the group's urgency."""
        return self._places[0][0]

    def names(self, most: int, up_to: float) -> list[str]:
        """The first TestJobs, at most so many, whose score is not above `up_to`; the head always."""
        first = self._places[:most]
        return [name for index, (place, name) in enumerate(first) if index == 0 or place <= up_to]

    def add(self, place: Place) -> None:
        """One more; its place never changes."""
        insort(self._places, place)

    def discard(self, place: Place) -> None:
        """It waits no more."""
        index = bisect_left(self._places, place)
        if index < len(self._places) and self._places[index] == place:
            del self._places[index]


class Store:
    """Everything that the planner looks at."""

    def __init__(
        self,
        ageing_seconds: float,
        on_batch: Callable[[BatchView | None, BatchView | None], None] = lambda _old, _new: None,
    ) -> None:
        """`ageing_seconds`: waiting that weighs as much as one step of priority."""
        self.ageing_seconds = ageing_seconds
        self.jobs: Table[JobView] = Table(self._job_changed)
        self.batches: Table[BatchView] = Table(self._batch_changed)
        self.targets: Table[TargetView] = Table()
        self.pods: Table[PodView] = Table(self._pod_changed)
        self.kube_jobs: Table[KubeJobView] = Table()
        self._on_batch = on_batch
        self._lines: dict[Group, Line] = {}
        self._groups: defaultdict[Key, set[Group]] = defaultdict(set)
        self._later: list[tuple[float, Key]] = []
        self._places: dict[Key, tuple[Group, Place]] = {}
        self._claimed: defaultdict[Key, set[Key]] = defaultdict(set)
        self._live: defaultdict[Key, set[Key]] = defaultdict(set)
        self._ended: defaultdict[Group, set[Key]] = defaultdict(set)
        self._pods_of: defaultdict[Key, set[Key]] = defaultdict(set)
        self._waiting: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._urgent: set[Key] = set()

    def advance(self, now: float) -> None:
        """Put the TestJobs whose time has come into their lines."""
        while self._later and self._later[0][0] <= now:
            _, key = heapq.heappop(self._later)
            job = self.jobs.get(key)
            if job is not None and _waits(job) and key not in self._places:
                if job.due <= now:
                    self._enqueue(job)
                else:
                    heapq.heappush(self._later, (job.due, key))

    @property
    def next_due(self) -> float | None:
        """When the next TestJob comes into its line, if one is to."""
        return self._later[0][0] if self._later else None

    def groups(self, target: Key) -> list[tuple[Group, Line]]:
        """The groups of a target with TestJobs that may run now."""
        return [(group, self._lines[group]) for group in self._groups.get(target, ())]

    def wanted_targets(self) -> list[Key]:
        """Every target, existing or not, that a TestJob waits for now."""
        return [target for target, groups in self._groups.items() if groups]

    def line(self, group: Group) -> Sequence[JobView]:
        """The TestJobs of a group that may run now, in order."""
        line = self._lines.get(group)
        names = line.names(len(line), float("inf")) if line else []
        return [job for name in names if (job := self.jobs.get(Key(group.namespace, name)))]

    def live_batches(self, target: Key) -> list[BatchView]:
        """The batches of a target that are not over."""
        return [batch for key in self._live.get(target, ()) if (batch := self.batches.get(key))]

    def ended_batches(self, group: Group) -> list[BatchView]:
        """The batches of a group that are over and not deleted yet, oldest first."""
        ended = [batch for key in self._ended.get(group, ()) if (batch := self.batches.get(key))]
        return sorted(ended, key=lambda batch: (batch.finished or batch.created, batch.name))

    def claimed(self, batch: Key) -> list[JobView]:
        """The TestJobs, Scheduled or Running, that say they belong to a batch."""
        return [job for key in self._claimed.get(batch, ()) if (job := self.jobs.get(key))]

    def claiming_batches(self) -> list[Key]:
        """Every batch, existing or not, that a TestJob says it belongs to."""
        return [batch for batch, jobs in self._claimed.items() if jobs]

    def pods_of(self, batch: Key) -> list[PodView]:
        """The pods that carry a batch's label."""
        return [pod for key in self._pods_of.get(batch, ()) if (pod := self.pods.get(key))]

    def urgent(self) -> list[JobView]:
        """TestJobs to cancel or to replay."""
        return [job for key in sorted(self._urgent) if (job := self.jobs.get(key))]

    def waiting(self) -> dict[tuple[str, str, int], int]:
        """How many TestJobs wait, those whose time has not come included, by (namespace, target, priority)."""
        return {key: count for key, count in self._waiting.items() if count}

    def waiting_at(self, target: Key) -> int:
        """How many TestJobs wait for a target."""
        return sum(
            self._waiting.get((target.namespace, target.name, priority), 0) for priority in range(1, 11)
        )

    def _job_changed(self, old: JobView | None, new: JobView | None) -> None:
        if old is not None:
            self._forget_job(old)
        if new is None:
            return
        if _waits(new):
            self._waiting[new.namespace, new.target, new.priority] += 1
            if not new.cancel:
                heapq.heappush(self._later, (new.due, new.key))
        elif new.phase in lifecycle.CLAIMED:
            self._claimed[Key(new.namespace, new.batch)].add(new.key)
        if _is_urgent(new):
            self._urgent.add(new.key)

    def _forget_job(self, old: JobView) -> None:
        key = old.key
        self._urgent.discard(key)
        if _waits(old):
            self._waiting[old.namespace, old.target, old.priority] -= 1
        if old.phase in lifecycle.CLAIMED:
            _discard(self._claimed, Key(old.namespace, old.batch), key)
        if place := self._places.pop(key, None):
            group, spot = place
            line = self._lines[group]
            line.discard(spot)
            if not line:
                del self._lines[group]
                _discard(self._groups, Key(group.namespace, group.target), group)

    def _enqueue(self, job: JobView) -> None:
        group = job.group
        place = (score(job, self.ageing_seconds), job.name)
        self._places[job.key] = (group, place)
        if group not in self._lines:
            self._lines[group] = Line()
            self._groups[Key(group.namespace, group.target)].add(group)
        self._lines[group].add(place)

    def _batch_changed(self, old: BatchView | None, new: BatchView | None) -> None:
        if old is not None:
            _discard(self._live, Key(old.namespace, old.target), old.key)
            _discard(self._ended, old.group, old.key)
        if new is not None:
            if new.over:
                self._ended[new.group].add(new.key)
            else:
                self._live[Key(new.namespace, new.target)].add(new.key)
        self._on_batch(old, new)

    def _pod_changed(self, old: PodView | None, new: PodView | None) -> None:
        if old is not None:
            _discard(self._pods_of, Key(old.namespace, old.batch), old.key)
        if new is not None:
            self._pods_of[Key(new.namespace, new.batch)].add(new.key)


def _waits(job: JobView) -> bool:
    return job.phase in lifecycle.WAITING


def _is_urgent(job: JobView) -> bool:
    if job.phase == lifecycle.DEAD_LETTERED:
        return job.replays > job.observed_replays and not job.cancel
    return job.cancel and (_waits(job) or job.phase == lifecycle.SCHEDULED)


K = TypeVar("K")
M = TypeVar("M")


def _discard(index: defaultdict[K, set[M]], key: K, member: M) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]
