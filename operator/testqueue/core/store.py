"""What the operator knows of the cluster: the newest views, and the waiting TestJobs in order.

A cache: it can be thrown away and listed anew at any time. The reflectors feed it, and so does the writer with
the answers to its own writes, so that the next pass sees them without waiting for the watch. The newest
resourceVersion of an object wins, whichever way it came.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from qgjob.api import lifecycle
from testqueue.core.health import Elsewhere
from testqueue.core.ledger import Ledger
from testqueue.core.model import (
    BatchView,
    Entry,
    Group,
    JobView,
    Key,
    KubeJobView,
    Lane,
    PodView,
    TargetView,
)
from testqueue.core.order import score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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

#: From so many newcomers on, sorting (which finds the sorted run) is cheaper than inserting one by one.
_MANY: Final = 32


class Head(NamedTuple):
    """The first TestJob of a lane."""

    score: float
    name: str
    lane: Lane


class Line:
    """The TestJobs of one lane that may run now, first one first."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._places: list[Place] = []
        #: Counts up with each change, so that a reader can tell whether it has seen this state.
        self.changes = 0

    def __len__(self) -> int:
        return len(self._places)

    def head(self, index: int = 0) -> Head | None:
        """The TestJob at that place, as the first one of those from there on; None where nobody is."""
        return Head(*self._places[index], self.lane) if index < len(self._places) else None

    def names(self, start: int, most: int, up_to: float) -> list[str]:
        """The TestJobs from place `start` on, at most so many, whose score is not above `up_to`; one at least."""
        end = max(bisect_right(self._places, up_to, key=lambda place: place[0]), start + 1)
        return [name for _, name in self._places[start : min(end, start + most)]]

    def add(self, places: Sequence[Place]) -> None:
        """Some more; a place never changes."""
        self.changes += 1
        if len(places) < _MANY:
            for place in places:
                insort(self._places, place)
        else:
            self._places += places
            self._places.sort()

    def discard(self, place: Place) -> None:
        """It waits no more."""
        index = bisect_left(self._places, place)
        if index < len(self._places) and self._places[index] == place:
            self.changes += 1
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
        self.targets: Table[TargetView] = Table(self._target_changed)
        self.pods: Table[PodView] = Table(self._pod_changed)
        self.kube_jobs: Table[KubeJobView] = Table()
        self._on_batch = on_batch
        self._lines: dict[Lane, Line] = {}
        self._heads: defaultdict[Key, dict[str, list[Head]]] = defaultdict(dict)
        self._lanes: defaultdict[Group, set[Lane]] = defaultdict(set)
        self._ledgers: defaultdict[Key, Ledger] = defaultdict(Ledger)
        self._arrived: list[Key] = []
        self._later: list[tuple[float, Key]] = []
        self._places: dict[Key, tuple[Line, Place]] = {}
        self._claimed: defaultdict[Key, set[Key]] = defaultdict(set)
        self._live: defaultdict[Key, set[Key]] = defaultdict(set)
        self._ended: defaultdict[Group, set[Key]] = defaultdict(set)
        self._last_ended: dict[Group, Key] = {}
        self._at: defaultdict[tuple[str, str], dict[Key, str]] = defaultdict(dict)
        self._last_on: dict[tuple[Key, str], BatchView] = {}
        self._named: defaultdict[Key, dict[Key, Entry]] = defaultdict(dict)
        self._pods_of: defaultdict[Key, set[Key]] = defaultdict(set)
        self._waiting: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._waiting_of: Counter[tuple[Key, str]] = Counter()
        self._urgent: set[Key] = set()
        self._by_reason: defaultdict[tuple[Key, str], set[Key]] = defaultdict(set)

    def advance(self, now: float) -> None:
        """Put the TestJobs whose time has come into their lines."""
        arrived, self._arrived = self._arrived, []
        while self._later and self._later[0][0] <= now:
            arrived.append(heapq.heappop(self._later)[1])
        ready: defaultdict[Lane, list[Place]] = defaultdict(list)
        for key in arrived:
            job = self.jobs.get(key)
            if job is None or key in self._places or not self._may_queue(job):
                continue
            if job.due <= now:
                place = (score(job, self.ageing_seconds), job.name)
                line = self._line_of(job.lane)
                self._places[key] = (line, place)
                ready[line.lane].append(place)
            else:
                heapq.heappush(self._later, (job.due, key))
        for lane, places in ready.items():
            line = self._lines[lane]
            before = line.head()
            line.add(places)
            self._index(line, before)

    @property
    def next_due(self) -> float | None:
        """When the next TestJob comes into its line, if one is to."""
        return self._later[0][0] if self._later else None

    def is_wanted(self, target: Key) -> bool:
        """Whether a TestJob may run there now."""
        return target in self._heads

    def wanted_targets(self) -> list[Key]:
        """Every target, existing or not, that a TestJob waits for now."""
        return list(self._heads)

    def heads(self, target: Key) -> Mapping[str, Sequence[Head]]:
        """The first TestJob of each lane of a target, by org, the most urgent first."""
        return self._heads.get(target, {})

    def lanes(self, group: Group) -> Iterable[Lane]:
        """The lanes of a group in which TestJobs may run now."""
        return self._lanes.get(group, ())

    def ledger(self, target: Key) -> Ledger:
        """Who had how much of a target."""
        return self._ledgers[target]

    def waiting_line(self, lane: Lane) -> Line:
        """A lane's line; an empty one where nobody of it may run now."""
        return self._lines.get(lane) or Line(lane)

    def line(
        self, lane: Lane, *, start: int = 0, most: int | None = None, up_to: float = math.inf
    ) -> list[JobView]:
        """The TestJobs of a lane that may run now, in order: from place `start` on, at most `most`.

        None but the first has a score above `up_to`.
        """
        line = self._lines.get(lane)
        names = line.names(start, len(line) if most is None else most, up_to) if line else []
        return [job for name in names if (job := self.jobs.get(Key(lane.namespace, name)))]

    def live_batches(self, target: Key) -> list[BatchView]:
        """The batches of a target that are not over."""
        return [batch for key in self._live.get(target, ()) if (batch := self.batches.get(key))]

    def all_live_batches(self) -> list[BatchView]:
        """The batches that are not over, whatever their target."""
        return [batch for keys in self._live.values() for key in keys if (batch := self.batches.get(key))]

    def last_failure_on(self, target: Key, device: str) -> float | None:
        """When the device's last batch failed in a way that it may be to blame for; None where it did not."""
        last = self._last_on.get((target, device))
        if last is None or not last.device_failed:
            return None
        return last.finished or last.created

    def elsewhere(self, batch: BatchView) -> Elsewhere:
        """How far the batch's app version came on other devices of its target, as far as that is still known."""
        keys = self._ended.get(batch.group, set()) | self._live.get(Key(batch.namespace, batch.target), set())
        others = [
            other
            for key in keys
            if (other := self.batches.get(key))
            and other.group == batch.group
            and other.device not in {"", batch.device}
        ]
        return Elsewhere(
            installed=any(other.tests_run for other in others),
            tested=any(other.passed or other.failed for other in others),
        )

    def targets_at(self, namespace: str, address: str) -> Mapping[Key, str]:
        """The targets of a namespace that name an address, and what they call the device there."""
        return self._at.get((namespace, address), {})

    def device_states(self) -> Counter[tuple[str, str, str]]:
        """How many devices there are, by (namespace, target, state)."""
        return Counter(
            (target.namespace, target.name, lease.state) for target in self.targets for lease in target.leases
        )

    def last_ended_batch(self, group: Group) -> BatchView | None:
        """The batch of a group that was over last, if there is one and it was not deleted yet."""
        key = self._last_ended.get(group)
        return self.batches.get(key) if key else None

    def last_ended_at(self, target: Key) -> BatchView | None:
        """The batch of a target that was over last, whatever its app version."""
        ended = [
            batch
            for group, key in self._last_ended.items()
            if (group.namespace, group.target) == target and (batch := self.batches.get(key))
        ]
        return max(ended, key=lambda batch: (batch.finished or batch.created, batch.name), default=None)

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

    def waiting_because(self, target: Key, reason: str) -> list[JobView]:
        """The TestJobs that wait for a target and whose status gives this reason."""
        keys = self._by_reason.get((target, reason), ())
        return [job for key in sorted(keys) if (job := self.jobs.get(key))]

    def waiting(self) -> dict[tuple[str, str, int], int]:
        """How many TestJobs wait, those whose time has not come included, by (namespace, target, priority)."""
        return {key: count for key, count in self._waiting.items() if count}

    def waiting_at(self, target: Key) -> int:
        """How many TestJobs wait for a target."""
        return sum(
            self._waiting.get((target.namespace, target.name, priority), 0) for priority in range(1, 11)
        )

    def waiting_of(self, target: Key, org: str) -> int:
        """How many of them are an org's."""
        return self._waiting_of[target, org]

    def count_because(self, target: Key, reason: str) -> int:
        """How many TestJobs that wait for a target give this reason in their status."""
        return len(self._by_reason.get((target, reason), ()))

    def _job_changed(self, old: JobView | None, new: JobView | None) -> None:
        if old is not None:
            self._forget_job(old)
        if new is None:
            return
        if _waits(new):
            target = Key(new.namespace, new.target)
            self._waiting[new.namespace, new.target, new.priority] += 1
            self._waiting_of[target, new.org] += 1
            if new.reason:
                self._by_reason[target, new.reason].add(new.key)
            self._await(new)
        elif new.phase in lifecycle.CLAIMED:
            self._claimed[Key(new.namespace, new.batch)].add(new.key)
        if _is_urgent(new):
            self._urgent.add(new.key)

    def _forget_job(self, old: JobView) -> None:
        key = old.key
        self._urgent.discard(key)
        if _waits(old):
            target = Key(old.namespace, old.target)
            self._waiting[old.namespace, old.target, old.priority] -= 1
            self._waiting_of[target, old.org] -= 1
            if not self._waiting_of[target, old.org]:
                del self._waiting_of[target, old.org]
            if old.reason:
                _discard(self._by_reason, (target, old.reason), key)
        if old.phase in lifecycle.CLAIMED:
            _discard(self._claimed, Key(old.namespace, old.batch), key)
        self._leave_line(key)

    def _leave_line(self, key: Key) -> None:
        if place := self._places.pop(key, None):
            line, spot = place
            before = line.head()
            line.discard(spot)
            self._index(line, before)
            if not line:
                del self._lines[line.lane]
                _discard(self._lanes, line.lane.group, line.lane)

    def _line_of(self, lane: Lane) -> Line:
        line = self._lines.get(lane)
        if line is None:
            self._lines[lane] = line = Line(lane)
            self._lanes[lane.group].add(lane)
        return line

    def _index(self, line: Line, before: Head | None) -> None:
        """Note who is first in a lane now, where that has changed."""
        after, lane = line.head(), line.lane
        if after == before:
            return
        target = Key(lane.namespace, lane.target)
        heads = self._heads[target].setdefault(lane.org, [])
        if before is not None:
            del heads[bisect_left(heads, before)]
        if after is not None:
            insort(heads, after)
        if not heads:
            del self._heads[target][lane.org]
            if not self._heads[target]:
                del self._heads[target]

    def _await(self, job: JobView) -> None:
        """Have it come into its line once it is due. Most are due at once: a list is cheaper than the heap."""
        if not self._may_queue(job):
            return
        if job.due:
            heapq.heappush(self._later, (job.due, job.key))
        else:
            self._arrived.append(job.key)

    def _may_queue(self, job: JobView) -> bool:
        """Whether it may stand in its line once it is due: it waits, and no batch is about to claim it."""
        if job.cancel or not _waits(job):
            return False
        wanted = Entry(job.name, job.uid, job.attempt + 1)
        return wanted not in self._named.get(job.key, {}).values()

    def _batch_changed(self, old: BatchView | None, new: BatchView | None) -> None:
        if old is not None and old.over:
            _discard(self._ended, old.group, old.key)
        elif old is not None:
            _discard(self._live, Key(old.namespace, old.target), old.key)
        if new is not None and new.over:
            self._ended[new.group].add(new.key)
        elif new is not None:
            self._live[Key(new.namespace, new.target)].add(new.key)
        if old is not None and old.over:
            self._find_last_ended(old.group)
        if new is not None and new.over:
            self._find_last_ended(new.group)
            self._remember_device(new)
        self._name_jobs(old, new)
        either = _either(old, new)
        self._ledgers[Key(either.namespace, either.target)].change(old, new)
        self._on_batch(old, new)

    def _remember_device(self, batch: BatchView) -> None:
        if not batch.device:
            return
        device = (Key(batch.namespace, batch.target), batch.device)
        before = self._last_on.get(device)
        if before is None or (before.finished or before.created) <= (batch.finished or batch.created):
            self._last_on[device] = batch

    def _find_last_ended(self, group: Group) -> None:
        ended = [batch for key in self._ended.get(group, ()) if (batch := self.batches.get(key))]
        if ended:
            last = max(ended, key=lambda batch: (batch.finished or batch.created, batch.name))
            self._last_ended[group] = last.key
        else:
            self._last_ended.pop(group, None)

    def _name_jobs(self, old: BatchView | None, new: BatchView | None) -> None:
        """What a batch names is its, claimed or not, until its runner has taken it: not for a second batch."""
        before = set(old.entries) if old is not None and _is_being_made(old) else set()
        after = set(new.entries) if new is not None and _is_being_made(new) else set()
        if before == after:
            return
        batch, namespace = _either(old, new).key, _either(old, new).namespace
        for entry in before - after:
            key = Key(namespace, entry.name)
            named = self._named.get(key, {})
            if named.get(batch) == entry:
                del named[batch]
                if not named:
                    self._named.pop(key, None)
            if job := self.jobs.get(key):
                self._await(job)
        for entry in after - before:
            key = Key(namespace, entry.name)
            self._named[key][batch] = entry
            job = self.jobs.get(key)
            if job is not None and not self._may_queue(job):
                self._leave_line(key)

    def _target_changed(self, old: TargetView | None, new: TargetView | None) -> None:
        before = old.devices if old is not None else ()
        after = new.devices if new is not None else ()
        if before == after:
            return  # its status, most of the time
        if old is not None:
            for device in before:
                place = (old.namespace, device.address)
                self._at[place].pop(old.key, None)
                if not self._at[place]:
                    del self._at[place]
        if new is not None:
            for device in after:
                self._at[new.namespace, device.address].setdefault(new.key, device.name)

    def _pod_changed(self, old: PodView | None, new: PodView | None) -> None:
        if old is not None:
            _discard(self._pods_of, Key(old.namespace, old.batch), old.key)
        if new is not None:
            self._pods_of[Key(new.namespace, new.batch)].add(new.key)


def _waits(job: JobView) -> bool:
    return job.phase in lifecycle.WAITING


def _either(old: BatchView | None, new: BatchView | None) -> BatchView:
    view = new or old
    if view is None:
        raise ValueError("a change has an old or a new view")
    return view


def _is_being_made(batch: BatchView) -> bool:
    return not batch.over and not batch.pod


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
