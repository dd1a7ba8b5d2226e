"""A store and a planner for the examples of what a pass plans."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from testqueue.core.actions import CheckBatch, CreateBatch, ExplainJob, ResumeBatch, UpdateTarget
from testqueue.core.model import BatchView, JobView, KubeJobView, PodView, TargetView
from testqueue.core.plan import Planner
from testqueue.core.store import Store

from .objects import AGEING, NOW

if TYPE_CHECKING:
    from testqueue.core.plan import Pass


class Scene:
    """What is known, and what a pass makes of it. `now` is in seconds after NOW."""

    def __init__(self, *views: Any) -> None:
        names = (f"tb-new-{number}" for number in itertools.count(1))
        self.store = Store(AGEING)
        self.planner = Planner(self.store, lambda: next(names))
        self.know(*views)

    def know(self, *views: Any) -> None:
        """Take newer views of anything."""
        tables: dict[type, Any] = {
            JobView: self.store.jobs,
            BatchView: self.store.batches,
            TargetView: self.store.targets,
            PodView: self.store.pods,
            KubeJobView: self.store.kube_jobs,
        }
        for view in views:
            tables[type(view)].apply(view)

    def plan(self, now: float = 10) -> Pass:
        return self.planner.plan(NOW + now)

    def updates(self, now: float = 10) -> list[UpdateTarget]:
        return [each for each in self.plan(now).actions if isinstance(each, UpdateTarget)]

    def created(self, now: float = 10) -> list[CreateBatch]:
        return [batch for update in self.updates(now) for batch in update.batches]

    def batches(self, now: float = 10) -> list[list[str]]:
        """The new batches, each as its TestJobs' names."""
        return [[job.name for job in batch.jobs] for batch in self.created(now)]

    def checks(self, now: float = 10) -> dict[str, str]:
        """Which batches get a live look, and why; those to go on with are there with 'resume'."""
        found = {}
        for action in self.plan(now).actions:
            if isinstance(action, CheckBatch):
                found[action.batch.name] = action.why
            elif isinstance(action, ResumeBatch):
                found[action.batch.name] = "resume"
        return found

    def explained(self, now: float = 10) -> dict[str, tuple[str, str]]:
        actions = self.plan(now).actions
        return {
            each.job.name: (each.reason, each.message) for each in actions if isinstance(each, ExplainJob)
        }
