"""The operator's own store and planner, in simulated time, where every write and every run succeeds."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hack.simulate.schedule import Batch, in_a_row
from qgjob.api import lifecycle
from qgjob.api.constants import LOCAL_POD_PREFIX
from testqueue.core.actions import UpdateTarget
from testqueue.core.model import BatchView, JobView, TargetView, TestTime
from testqueue.core.plan import Planner
from testqueue.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.simulate.loads import Load, Test
    from testqueue.core.actions import CreateBatch

#: Seconds since the epoch at which a trace begins.
EPOCH = 1_000_000_000.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The batches in the order in which they were made, and the CPU seconds of the planner's passes."""

    batches: tuple[Batch, ...]
    passes: tuple[float, ...]


def planned(load: Load) -> Outcome:
    """What the operator makes of a load."""
    return World(load).run()


class World:
    """A load's target, its slots, and the operator that serves it. Times in seconds after the load's begin."""

    def __init__(self, load: Load) -> None:
        self.now = 0.0
        #: CPU seconds of each pass of the planner.
        self.passes: list[float] = []
        self._load = load
        self._versions = itertools.count(1)
        self._tests = {test.name: test for test in load.tests}
        self._store = Store(load.ageing_seconds, self._batch_changed)
        names = (f"tb-{number:06d}" for number in itertools.count(1))
        self._planner = Planner(self._store, lambda: next(names))
        self._ends: list[tuple[float, str]] = []
        self._made: list[Batch] = []
        self._store.targets.apply(self._target())

    def run(self) -> Outcome:
        """Until all has run."""
        coming = deque(sorted(self._load.tests, key=lambda test: (test.submitted, test.name)))
        while coming or self._ends:
            moments = [coming[0].submitted] if coming else []
            moments += [self._ends[0][0]] if self._ends else []
            now = min(moments)
            while coming and coming[0].submitted <= now:
                self.submit([coming.popleft()])
            while self._ends and self._ends[0][0] <= now:
                self.end_next()
            if len(self._ends) < self._load.slots:
                self.plan(now)
        return Outcome(tuple(self._made), tuple(self.passes))

    def submit(self, tests: Iterable[Test]) -> None:
        """TestJobs come into view."""
        for test in tests:
            self._store.jobs.apply(self._job(test))

    def end_next(self) -> float:
        """The batch that is done first ends; tells when."""
        self.now, name = heapq.heappop(self._ends)
        self._end(name)
        return self.now

    def plan(self, now: float) -> None:
        """One pass, and what it asks for."""
        self.now = now
        began = time.process_time()
        planned = self._planner.plan(EPOCH + now)
        self.passes.append(time.process_time() - began)
        for action in planned.actions:
            if isinstance(action, UpdateTarget):
                for batch in action.batches:
                    self._begin(batch)

    def _begin(self, action: CreateBatch) -> None:
        made = in_a_row([self._tests[job.name] for job in action.jobs], self._load, self.now)
        self._made.append(made)
        heapq.heappush(self._ends, (made.ended, action.name))
        meta = {
            "namespace": action.namespace,
            "name": action.name,
            "uid": action.name,
            "resourceVersion": next(self._versions),
            "creationTimestamp": None,
        }
        view = BatchView.from_object({"metadata": meta, "spec": action.spec()})
        pod = f"{LOCAL_POD_PREFIX}{action.name}"
        self._store.batches.apply(
            replace(view, created=EPOCH + self.now, phase="Running", pod=pod, pod_name=pod)
        )
        for job in action.jobs:
            claimed = {"phase": lifecycle.RUNNING, "batch": action.name, "attempt": job.attempt + 1}
            self._store.jobs.apply(replace(job, version=next(self._versions), **claimed))

    def _end(self, name: str) -> None:
        view = next(batch for batch in self._store.all_live_batches() if batch.name == name)
        costs = dict.fromkeys((org for org, _ in view.costs), 0.0)
        times = []
        for job in self._store.claimed(view.key):
            test = self._tests[job.name]
            costs[test.org] += test.seconds
            times.append(TestTime(test.name, "passed", test.seconds, test.test))
            self._store.jobs.remove(replace(job, version=next(self._versions)))
        if view.turn is not None:
            costs[view.turn.org] += self._load.install_seconds
        self._store.batches.apply(
            replace(
                view,
                version=next(self._versions),
                phase="Completed",
                finished=EPOCH + self.now,
                install_seconds=self._load.install_seconds,
                passed=len(times),
                tests=tuple(sorted(times)),
                costs=tuple(costs.items()),
            )
        )

    def _batch_changed(self, _: BatchView | None, new: BatchView | None) -> None:
        if new is not None and new.over:
            self._planner.estimates.learn(new)

    def _job(self, test: Test) -> JobView:
        return JobView(
            namespace="ci",
            name=test.name,
            uid=test.name,
            version=next(self._versions),
            org=test.org,
            app_version_id=test.app,
            target="phones",
            test=test.test,
            priority=test.priority,
            cancel=False,
            replays=0,
            ttl=None,
            gitops=False,
            phase=lifecycle.PENDING,
            batch="",
            pod="",
            attempt=0,
            observed_replays=0,
            reason="",
            message="",
            queued=EPOCH + test.submitted,
            due=0.0,
            finished=None,
        )

    def _target(self) -> TargetView:
        load = self._load
        orgs = [{"orgId": org, "weight": weight} for org, weight in load.weights.items()]
        spec = {
            "parallelism": load.slots,
            "batch": {"maxTests": load.max_tests, "targetSeconds": load.target_seconds},
            "fairness": {"orgs": orgs},
            # Its pods are not simulated, so nothing is to be missed.
            "timeouts": {"startSeconds": 10**9},
        }
        meta = {"namespace": "ci", "name": "phones", "uid": "phones", "resourceVersion": "1"}
        return TargetView.from_object({"metadata": meta, "spec": spec})
