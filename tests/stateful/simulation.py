"""A cluster in memory: objects with resourceVersions, runners as processes, and an operator that may be cut short.

Nothing here decides anything: the planner, recovery and lifecycle of the project do. The writer does what
testqueue.kube does, one write after another, so that a test can let it die between any two of them.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import BATCH_LABEL, DEVICE_REASONS
from qgjob.api.lifecycle import Result
from testqueue.core.actions import (
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
from testqueue.core.model import (
    DELETED_TOKEN_SECONDS,
    BatchView,
    JobView,
    Key,
    KubeJobView,
    PodView,
    TargetView,
)
from testqueue.core.plan import Planner
from testqueue.core.recovery import Absences, Live, Repair, decide
from testqueue.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testqueue.core.actions import Action
    from testqueue.core.plan import Pass

Object = dict[str, Any]
NAMESPACE = "team"
AGEING_SECONDS = 3600.0
#: A target's defaults: a runner that is cut off stops by then.
FENCE_SECONDS = 60.0
VIEWS: dict[str, Any] = {
    "testjobs": JobView,
    "testbatches": BatchView,
    "testtargets": TargetView,
    "pods": PodView,
    "jobs": KubeJobView,
}


class ConflictError(Exception):
    """The precondition of a write did not hold."""


class DiedError(Exception):
    """The operator's process ended between two writes."""


class Api:
    """Objects by kind and name, and the log of their changes that watches are served from."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in VIEWS}
        self.log: list[tuple[str, str, Object]] = []
        self._versions = itertools.count(1)

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return int(self.log[-1][2]["metadata"]["resourceVersion"]) if self.log else 0

    def create(self, kind: str, name: str, spec: Object, **extra: Any) -> Object:
        if name in self.objects[kind]:
            raise ConflictError(name)
        version = next(self._versions)
        obj = {
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": f"uid-{version}",
                "resourceVersion": str(version),
                "creationTimestamp": self.timestamp(),
                **extra.get("metadata", {}),
            },
            "spec": spec,
            "status": extra.get("status", {}),
        }
        return self._store(kind, "ADDED", obj)

    def change(
        self,
        kind: str,
        name: str,
        *,
        version: int | None,
        status: Object | None = None,
        spec: Object | None = None,
        metadata: Object | None = None,
    ) -> Object:
        """Merge into an object; with a version, only if that is still its newest."""
        old = self.objects[kind].get(name)
        if old is None or (version is not None and int(old["metadata"]["resourceVersion"]) != version):
            raise ConflictError(name)
        new = copy.deepcopy(old)
        new["metadata"] |= metadata or {}
        new["metadata"]["resourceVersion"] = str(next(self._versions))
        new["status"] = lifecycle.apply(new["status"], status or {})
        new["spec"] |= spec or {}
        return self._store(kind, "MODIFIED", new)

    def delete(self, kind: str, name: str, version: int | None = None) -> None:
        old = self.objects[kind].get(name)
        if old is None or (version is not None and int(old["metadata"]["resourceVersion"]) != version):
            raise ConflictError(name)
        gone = copy.deepcopy(old)
        gone["metadata"]["resourceVersion"] = str(next(self._versions))
        del self.objects[kind][name]
        self.log.append((kind, "DELETED", gone))
        if kind == "testbatches" and name in self.objects["jobs"]:
            self.delete("jobs", name)

    def timestamp(self) -> str:
        return lifecycle.timestamp(datetime.fromtimestamp(self.now, UTC))

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def _store(self, kind: str, change: str, obj: Object) -> Object:
        self.objects[kind][obj["metadata"]["name"]] = obj
        self.log.append((kind, change, obj))
        return copy.deepcopy(obj)


def selected(kind: str, obj: Object) -> bool:
    """Whether the operator's reflector would see the object."""
    phase = lifecycle.get(obj["status"], "phase")
    return kind != "testjobs" or phase not in {"Succeeded", "Cancelled"}


@dataclass
class Process:
    """A runner's process. It lives on when its pod object is gone, until it fences itself."""

    pod: str
    uid: str
    batch: str
    device: str
    address: str
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Its batch has ended for its device's sake.
    blames: bool = False
    owns: bool = False
    running: str | None = None
    dies_at: float | None = None


@dataclass
class Cluster:
    """The API and the runners on the nodes."""

    api: Api = field(default_factory=Api)
    processes: list[Process] = field(default_factory=list)
    _pods: Iterable[int] = field(default_factory=itertools.count)

    def alive(self) -> list[Process]:
        return [each for each in self.processes if each.dies_at is None or self.api.now < each.dies_at]

    def owners(self) -> list[Process]:
        """Runners that own a batch which is not over, and can reach the API."""
        found = []
        for process in self.alive():
            batch = self.api.objects["testbatches"].get(process.batch)
            if batch is None or _over(batch) or batch["status"].get("pod") != process.uid:
                continue
            if process.dies_at is None:
                found.append(process)
        return found

    def start_pod(self, batch: str) -> None:
        """The Job controller's and the kubelet's work: a pod that runs."""
        name = f"{batch}-{next(iter(self._pods)):05d}"
        metadata = {"labels": {BATCH_LABEL: batch}}
        status = {"phase": "Running", "containerStatuses": [{"name": "runner", "state": {"running": {}}}]}
        pod = self.api.create("pods", name, {}, metadata=metadata, status=status)
        device = self.api.objects["testbatches"][batch]["spec"].get("device") or {"name": "", "address": ""}
        uid = pod["metadata"]["uid"]
        self.processes.append(Process(name, uid, batch, device["name"], device["address"]))

    def pods_missing(self) -> list[str]:
        """Batches with a Kubernetes Job that has had no pod yet."""
        had = {process.batch for process in self.processes}
        return [name for name in self.api.objects["jobs"] if name not in had]

    def take(self, process: Process) -> None:
        """The runner's first write."""
        batch = self.api.objects["testbatches"].get(process.batch)
        if batch is None or _over(batch) or batch["status"].get("pod"):
            self.end_process(process)
            return
        status = {
            "pod": process.uid,
            "podName": process.pod,
            "phase": "Installing",
            "startTime": self.api.timestamp(),
        }
        self.api.change("testbatches", process.batch, status=status, version=None)
        process.owns = True

    def install(self, process: Process) -> None:
        self.api.change(
            "testbatches", process.batch, status={"phase": "Running", "installSeconds": 1.0}, version=None
        )

    def fail_install(self, process: Process, reason: str) -> None:
        """All that is claimed is charged, then the batch fails; but a trial's device alone is to blame for itself."""
        spec = self.api.objects["testbatches"][process.batch]["spec"]
        for job in self._claims(process):
            if job["status"]["phase"] != "Scheduled":
                continue
            if spec.get("trial") and reason in DEVICE_REASONS:
                changes = lifecycle.give_back(job["status"])
                self.api.change("testjobs", job["metadata"]["name"], status=changes, version=None)
            else:
                self._finish(job, Result("infrastructure", "install failed"))
                process.outcomes["infrastructure"] += 1
        self._close(process, "Failed", reason)

    def lose_device(self, process: Process) -> None:
        """The running test is charged, the others go back."""
        self.end_test(process, "infrastructure")
        self._give_back(process)
        self._close(process, "Failed", "DeviceLost")

    def _give_back(self, process: Process) -> None:
        for job in self._claims(process):
            if job["status"]["phase"] == "Scheduled":
                changes = lifecycle.give_back(job["status"])
                self.api.change("testjobs", job["metadata"]["name"], status=changes, version=None)

    def begin_test(self, process: Process) -> bool:
        """Start the next TestJob, or end the batch where there is none, or where it was asked to yield."""
        scheduled = {job["metadata"]["name"]: job for job in self._claims(process)}
        spec = self.api.objects["testbatches"][process.batch]["spec"]
        entries = spec["jobs"]
        if spec.get("yield"):
            self._give_back(process)
            self._close(process, "Yielded", "Yield")
            return False
        for entry in entries:
            job = scheduled.get(entry["name"])
            if job and job["status"]["phase"] == "Scheduled" and job["status"]["attempt"] == entry["attempt"]:
                changes = lifecycle.start(job["status"], process.pod, self.api.moment())
                self.api.change("testjobs", entry["name"], status=changes, version=None)
                process.running = entry["name"]
                return True
        self._close(process, "Completed")
        return False

    def end_test(self, process: Process, outcome: str) -> None:
        """Write the outcome; a TestJob that was taken away is left alone."""
        job = self.api.objects["testjobs"].get(process.running or "")
        process.running = None
        if job and job["status"]["phase"] == "Running" and job["status"]["pod"] == process.pod:
            self._finish(job, Result(outcome))  # type: ignore[arg-type]
            process.outcomes[outcome] += 1

    def kill(self, process: Process, *, evicted: bool = False) -> None:
        """The containers end, and the kubelet says so."""
        status = {"phase": "Failed", "containerStatuses": [{"name": "runner", "state": {"terminated": {}}}]}
        if evicted:
            status["reason"] = "Evicted"
        self.api.change("pods", process.pod, status=status, version=None)
        self.end_process(process)

    def vanish(self, process: Process) -> None:
        """The pod object is force-deleted; the process notices only by its fence."""
        self.api.delete("pods", process.pod)
        process.dies_at = self.api.now + FENCE_SECONDS

    def cut_off(self, process: Process) -> None:
        """The pod is deleted, but its node can't be reached: it goes on until its token is refused."""
        metadata = {"deletionTimestamp": lifecycle.timestamp(self.api.moment() + timedelta(seconds=60))}
        self.api.change("pods", process.pod, metadata=metadata, version=None)
        process.dies_at = self.api.now + 60 + DELETED_TOKEN_SECONDS + FENCE_SECONDS

    def end_process(self, process: Process) -> None:
        process.running = None
        process.dies_at = self.api.now

    def _claims(self, process: Process) -> list[Object]:
        jobs = list(self.api.objects["testjobs"].values())
        return [job for job in jobs if job["status"].get("batch") == process.batch]

    def outcome(self, job: Object, result: Result) -> lifecycle.Changes:
        """What the attempt's end writes, by the target's policy."""
        target = self.api.objects["testtargets"].get(job["spec"]["target"], {"spec": {}})
        policy = lifecycle.RetryPolicy.from_target_spec(target["spec"])
        return lifecycle.finish(job["status"], result, policy, job["spec"]["maxRetries"], self.api.moment())

    def _finish(self, job: Object, result: Result) -> None:
        self.api.change("testjobs", job["metadata"]["name"], status=self.outcome(job, result), version=None)

    def _close(self, process: Process, phase: str, reason: str = "") -> None:
        process.blames = reason in DEVICE_REASONS
        status = {
            "phase": phase,
            "open": False,
            "finishTime": self.api.timestamp(),
            "reason": reason,
            **process.outcomes,
        }
        self.api.change("testbatches", process.batch, status=status, version=None)
        self.end_process(process)


class Operator:
    """One process of the operator: a store that lags behind the API, the planner, and a writer."""

    def __init__(self, cluster: Cluster, new_name: Callable[[], str]) -> None:
        self.cluster = cluster
        self.store = Store(AGEING_SECONDS)
        self.planner = Planner(self.store, new_name)
        #: The newest version of each object that a test has seen in the store.
        self.newest: dict[tuple[type, Key], int] = {}
        self._seen = 0
        self._absences = Absences()
        self._writes_left: int | None = None
        self.relist()

    @property
    def lag(self) -> int:
        """Changes that the watch has not brought yet."""
        return len(self.cluster.api.log) - self._seen

    def watch(self, count: int | None = None) -> None:
        """Take the next changes, in their order; all of them by default."""
        api = self.cluster.api
        end = len(api.log) if count is None else min(self._seen + count, len(api.log))
        for kind, change, obj in api.log[self._seen : end]:
            view = VIEWS[kind].from_object(obj)
            table = self._table(kind)
            if change == "DELETED" or not selected(kind, obj):
                table.remove(view)
            else:
                table.apply(view)
        self._seen = end

    def relist(self) -> None:
        """What the reflectors do at their start and after a gap."""
        api = self.cluster.api
        for kind, objects in api.objects.items():
            views = [VIEWS[kind].from_object(obj) for obj in objects.values() if selected(kind, obj)]
            self._table(kind).replace(views, api.version)
        self._seen = len(api.log)

    def plan(self) -> Pass:
        return self.planner.plan(self.cluster.api.now)

    def write(self, actions: Iterable[Action], writes: int | None = None) -> None:
        """Carry actions out; die after so many writes."""
        self._writes_left = writes
        for action in actions:
            try:
                self._carry_out(action)
            except ConflictError:
                continue

    def _carry_out(self, action: Action) -> None:
        match action:
            case UpdateTarget():
                self._update_target(action)
            case CreateBatch():
                self._create(action)
            case ResumeBatch(batch):
                self._resume(batch.key)
            case YieldBatch(batch):
                self._spend()
                spec = {"yield": True}
                changed = self.cluster.api.change("testbatches", batch.name, spec=spec, version=batch.version)
                self._took("testbatches", changed)
            case CheckBatch(key, _):
                self._check(key)
            case CancelJob(job):
                self._change_job(job, lambda status, _: lifecycle.cancel(status, self.cluster.api.moment()))
            case ReplayJob(job):
                self._change_job(
                    job,
                    lambda status, spec: lifecycle.replay(status, spec["replays"], self.cluster.api.moment()),
                )
            case RefuseJob(job, reason, message):
                moment = self.cluster.api.moment()
                self._change_job(job, lambda status, _: lifecycle.refuse(status, reason, message, moment))
            case ExplainJob(job, reason, message):
                self._patch("testjobs", job.name, {"reason": reason, "message": message}, job.version)

    def _update_target(self, action: UpdateTarget) -> None:
        status = {
            "slots": action.counts.slots,
            "running": action.counts.running,
            "waiting": action.counts.waiting,
            "devices": [lease.to_object() for lease in action.leases],
        }
        self._patch("testtargets", action.target.name, status, action.target.version)
        for batch in action.batches:
            if self._meets_a_rival(batch):
                self.planner.mark_gone(Key(NAMESPACE, batch.name))
            else:
                self._create(batch)

    def _meets_a_rival(self, action: CreateBatch) -> bool:
        targets = self.cluster.api.objects["testtargets"]
        rivals = [TargetView.from_object(targets[key.name]) for key in action.rivals if key.name in targets]
        return action.device is not None and is_taken(action.device.address, rivals, self.planner.holds)

    def _create(self, action: CreateBatch) -> None:
        self._spend()
        created = self.cluster.api.create("testbatches", action.name, action.spec())
        self._took("testbatches", created)
        self._claim_and_start(BatchView.from_object(created))

    def _resume(self, key: Key) -> None:
        obj = self.cluster.api.objects["testbatches"].get(key.name)
        if obj and not _over(obj) and not obj["status"].get("pod"):
            self._claim_and_start(BatchView.from_object(obj))

    def _claim_and_start(self, batch: BatchView) -> None:
        api = self.cluster.api
        for entry in batch.entries:
            job = api.objects["testjobs"].get(entry.name)
            if job is None or job["metadata"]["uid"] != entry.uid or job["spec"].get("cancel"):
                continue
            status = job["status"]
            if not lifecycle.is_due(status, api.moment()):
                continue
            if lifecycle.get(status, "attempt") + 1 != entry.attempt:
                continue
            changes = lifecycle.claim(status, batch.name, job["spec"]["replays"])
            self._patch("testjobs", entry.name, changes, int(job["metadata"]["resourceVersion"]))
        mine = [job for job in api.objects["testjobs"].values() if _claimed_by(job, batch.name)]
        self._spend()
        if not mine:
            api.delete("testbatches", batch.name, batch.version)
        elif batch.name not in api.objects["jobs"]:
            self._took("jobs", api.create("jobs", batch.name, {}))

    def _check(self, key: Key) -> None:
        api = self.cluster.api
        batch = api.objects["testbatches"].get(key.name)
        pods = [
            each
            for each in api.objects["pods"].values()
            if each["metadata"]["labels"][BATCH_LABEL] == key.name
        ]
        kube_job = api.objects["jobs"].get(key.name)
        jobs = [job for job in api.objects["testjobs"].values() if job["status"].get("batch") == key.name]
        live = Live(
            batch=BatchView.from_object(batch) if batch else None,
            jobs=tuple(JobView.from_object(job) for job in jobs),
            pods=tuple(PodView.from_object(pod) for pod in pods),
            kube_job=KubeJobView.from_object(kube_job) if kube_job else None,
            first_absent=self._absences.since(key, BatchView.from_object(batch) if batch else None),
            fence_seconds=FENCE_SECONDS,
            start_seconds=300.0,
            batch_seconds=7200.0,
        )
        repair = decide(live, api.now)
        self._absences.note(key, live.batch, repair, api.now)
        if repair.gone:
            self.planner.mark_gone(key)
        self.planner.check_again(key, api.now + min(repair.again, 15.0))
        self._repair(key.name, repair, live)

    def _repair(self, name: str, repair: Repair, live: Live) -> None:
        api = self.cluster.api
        if repair.delete_job:
            self._spend()
            api.delete("jobs", name)
        for step in repair.release:
            job = api.objects["testjobs"][step.job.name]
            if job["spec"].get("cancel"):
                changes = lifecycle.cancel(job["status"], api.moment())
            elif step.how == "give_back":
                changes = lifecycle.give_back(job["status"])
            else:
                result = Result("infrastructure", step.message, reason=step.reason)
                changes = self.cluster.outcome(job, result)
            self._patch("testjobs", step.job.name, changes, step.job.version)
        if live.batch and repair.end:
            attempts = Counter(
                attempt["outcome"]
                for job in api.objects["testjobs"].values()
                for attempt in lifecycle.get(job["status"], "attempts")
                if attempt["batch"] == name
            )
            status = {
                "phase": "Failed",
                "open": False,
                "finishTime": api.timestamp(),
                "reason": repair.end[0],
                **attempts,
            }
            self._patch("testbatches", name, status, live.batch.version)

    def _change_job(self, view: JobView, change: Callable[[Object, Object], Object]) -> None:
        job = self.cluster.api.objects["testjobs"].get(view.name)
        if job is None or job["metadata"]["uid"] != view.uid:
            return
        try:
            changes = change(job["status"], job["spec"])
        except lifecycle.TransitionError:
            return
        self._patch("testjobs", view.name, changes, int(job["metadata"]["resourceVersion"]))

    def _patch(self, kind: str, name: str, status: Object, version: int) -> None:
        self._spend()
        self._took(kind, self.cluster.api.change(kind, name, status=status, version=version))

    def _took(self, kind: str, obj: Object) -> None:
        self._table(kind).apply(VIEWS[kind].from_object(obj))

    def _spend(self) -> None:
        if self._writes_left is not None:
            if self._writes_left == 0:
                raise DiedError
            self._writes_left -= 1

    def _table(self, kind: str) -> Any:
        store = self.store
        return {
            "testjobs": store.jobs,
            "testbatches": store.batches,
            "testtargets": store.targets,
            "pods": store.pods,
            "jobs": store.kube_jobs,
        }[kind]


def _over(batch: Object) -> bool:
    return batch["status"].get("phase") in {"Completed", "Failed", "Yielded"}


def _claimed_by(job: Object, batch: str) -> bool:
    return job["status"].get("batch") == batch and job["status"]["phase"] in lifecycle.CLAIMED
