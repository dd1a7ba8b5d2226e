"""The operator's own store and planner, in simulated time, where every write and every run succeeds."""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hack.simulate.schedule import Batch, in_a_row
from qgjob.api import lifecycle
from qgjob.api.constants import LOCAL_POD_PREFIX
from testqueue.core.actions import UpdateTarget, YieldBatch
from testqueue.core.model import BatchView, JobView, Key, TargetView, TestTime
from testqueue.core.plan import Planner
from testqueue.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.simulate.loads import Load, Test
    from hack.simulate.schedule import Run
    from testqueue.core.actions import CreateBatch

#: Seconds since the epoch at which a trace begins.
EPOCH = 1_000_000_000.0
#: The planner looks again so often at least, as it does in the operator.
LOOK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The batches in the order in which they were made, and the CPU seconds of the planner's passes."""

    batches: tuple[Batch, ...]
    passes: tuple[float, ...]


def planned(load: Load) -> Outcome:
    """What the operator makes of a load."""
    return World(load).run()


class _Live:
    """A batch that runs: how far it is, and where it ends."""

    def __init__(self, key: Key, made: Batch) -> None:
        self.key = key
        self.made = made
        #: Runs that are over.
        self.over = 0
        self.installed = False
        self.cut = False


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
        self._live: dict[str, _Live] = {}
        self._done: list[Batch] = []
        self._store.targets.apply(self._target())

    def run(self) -> Outcome:
        """Until all has run."""
        coming = deque(sorted(self._load.tests, key=lambda test: (test.submitted, test.name)))
        while coming or self._live:
            moments = [coming[0].submitted] if coming else []
            moments += [live.made.ended for live in self._live.values()]
            self.now = min(*moments, self.now + LOOK_AGAIN_SECONDS) if self._live else min(moments)
            while coming and coming[0].submitted <= self.now:
                self.submit([coming.popleft()])
            self.plan(self.now)
        return Outcome(tuple(sorted(self._done, key=lambda batch: batch.made)), tuple(self.passes))

    def submit(self, tests: Iterable[Test]) -> None:
        """TestJobs come into view."""
        for test in tests:
            self._store.jobs.apply(self._job(test))

    def next_end(self) -> float:
        """When the batch that is done first ends."""
        return min(live.made.ended for live in self._live.values())

    def plan(self, now: float) -> None:
        """What has happened by now comes into view; then one pass, and what it asks for."""
        self.now = now
        for live in list(self._live.values()):
            self._go_on(live)
        began = time.process_time()
        planned = self._planner.plan(EPOCH + now)
        self.passes.append(time.process_time() - began)
        for action in planned.actions:
            if isinstance(action, UpdateTarget):
                for batch in action.batches:
                    self._begin(batch)
            elif isinstance(action, YieldBatch):
                self._yield(self._live[action.batch.name])

    def _begin(self, action: CreateBatch) -> None:
        made = in_a_row([self._tests[job.name] for job in action.jobs], self._load, self.now)
        meta = {
            "namespace": action.namespace,
            "name": action.name,
            "uid": action.name,
            "resourceVersion": next(self._versions),
            "creationTimestamp": None,
        }
        view = BatchView.from_object({"metadata": meta, "spec": action.spec()})
        self._live[action.name] = _Live(view.key, made)
        pod = f"{LOCAL_POD_PREFIX}{action.name}"
        created = EPOCH + self.now
        started = created + self._load.start_seconds
        self._store.batches.apply(
            replace(view, created=created, started=started, phase="Installing", pod=pod, pod_name=pod)
        )
        for job in action.jobs:
            self._change(job, phase=lifecycle.SCHEDULED, batch=action.name, attempt=job.attempt + 1)

    def _go_on(self, live: _Live) -> None:
        """What the runner has reported since."""
        runs = live.made.runs
        if not live.installed and live.made.installed <= self.now:
            live.installed = True
            self._change_batch(live, phase="Running", install_seconds=self._load.install_seconds)
        while live.over < len(runs) and runs[live.over].finished <= self.now:
            job = self._job_of(live, runs[live.over])
            self._store.jobs.remove(replace(job, version=next(self._versions)))
            live.over += 1
        if live.over == len(runs):
            self._end(live)
        elif runs[live.over].started <= self.now:
            job = self._job_of(live, runs[live.over])
            if job.phase != lifecycle.RUNNING:
                self._change(job, phase=lifecycle.RUNNING)

    def _yield(self, live: _Live) -> None:
        """It ends after the test that runs now; those that follow go back then."""
        live.cut = True
        self._change_batch(live, yields=True)
        runs, rest = live.made.runs[: live.over + 1], live.made.runs[live.over + 1 :]
        live.made = replace(live.made, runs=runs, given_back=tuple(run.test for run in rest))

    def _end(self, live: _Live) -> None:
        view = self._store.batches.get(live.key)
        if view is None or view.turn is None:
            raise RuntimeError(f"{live.key} is not known")
        costs = dict.fromkeys((org for org, _ in view.costs), 0.0)
        costs[view.turn.org] += self._load.install_seconds
        for run in live.made.runs:
            costs[run.test.org] += run.test.seconds
        for job in self._store.claimed(live.key):
            self._change(job, phase=lifecycle.PENDING, batch="")
        tests = [TestTime(run.test.name, "passed", run.test.seconds, run.test.test) for run in live.made.runs]
        self._change_batch(
            live,
            phase="Yielded" if live.cut else "Completed",
            finished=EPOCH + self.now,
            passed=len(tests),
            tests=tuple(tests),
            costs=tuple(costs.items()),
        )
        self._done.append(live.made)
        del self._live[live.key.name]

    def _job_of(self, live: _Live, run: Run) -> JobView:
        job = self._store.jobs.get(Key(live.key.namespace, run.test.name))
        if job is None:
            raise RuntimeError(f"TestJob {run.test.name} is lost")
        return job

    def _change(self, job: JobView, **changes: Any) -> None:
        self._store.jobs.apply(replace(job, version=next(self._versions), **changes))

    def _change_batch(self, live: _Live, **changes: Any) -> None:
        view = self._store.batches.get(live.key)
        if view is not None:
            self._store.batches.apply(replace(view, version=next(self._versions), **changes))

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
