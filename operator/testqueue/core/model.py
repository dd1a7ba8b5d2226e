"""Slim views of the API's objects: what the planner looks at, and nothing more.

All times are seconds since the epoch. A view is made from the object as the API server returns it; whoever
changes a TestJob reads it anew, so a JobView carries no list of attempts (there may be 100,000 of them).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any, Final, Literal, NamedTuple, get_args

from qgjob.api import lifecycle
from qgjob.api.constants import BATCH_LABEL, DEVICE_REASONS, LOCAL_POD_PREFIX
from qgjob.api.gitops import is_gitops
from qgjob.api.lifecycle import RetryPolicy
from testqueue.core.missing import in_words
from testqueue.core.shares import Shares

Object = dict[str, Any]
DeviceState = Literal["Free", "Busy", "Quarantined", "Drained"]
DEVICE_STATES: Final[tuple[DeviceState, ...]] = get_args(DeviceState)

#: Phases in which a batch is over; its slot and its device are free.
BATCH_OVER: Final = frozenset({"Completed", "Failed", "Yielded"})

#: The API server accepts a deleted pod's token for 60 s, and caches an answer for 10 s.
DELETED_TOKEN_SECONDS: Final = 70.0


class Key(NamedTuple):
    """One object's namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Group(NamedTuple):
    """The TestJobs that can share an install."""

    namespace: str
    app_version_id: str
    target: str


class Lane(NamedTuple):
    """The TestJobs of one org that can share an install."""

    namespace: str
    app_version_id: str
    target: str
    org: str

    @property
    def group(self) -> Group:
        """Those that could ride with them."""
        return Group(self.namespace, self.app_version_id, self.target)


@dataclass(frozen=True, slots=True)
class JobView:
    """A TestJob."""

    namespace: str
    name: str
    uid: str
    version: int
    org: str
    app_version_id: str
    target: str
    test: str
    priority: int
    cancel: bool
    replays: int
    ttl: float | None
    gitops: bool
    phase: str
    batch: str
    pod: str
    attempt: int
    observed_replays: int
    reason: str
    message: str
    queued: float
    due: float
    finished: float | None

    @property
    def key(self) -> Key:
        """Its namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def group(self) -> Group:
        """The TestJobs that it can share an install with."""
        return Group(self.namespace, self.app_version_id, self.target)

    @property
    def lane(self) -> Lane:
        """Those of them that are its org's."""
        return Lane(self.namespace, self.app_version_id, self.target, self.org)

    @property
    def arrived(self) -> float:
        """When it could have run first: it was submitted, replayed, or its backoff was over."""
        return max(self.queued, self.due)

    @classmethod
    def from_object(cls, obj: Object) -> JobView:
        """The view of a TestJob as the API server returns it.

        What many have in common is kept once.
        """
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        queued = _seconds(status.get("queueTime")) or _seconds(meta["creationTimestamp"]) or 0.0
        return cls(
            namespace=intern(meta["namespace"]),
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            org=intern(spec["orgId"]),
            app_version_id=intern(spec["appVersionId"]),
            target=intern(spec["target"]),
            test=spec["test"],
            priority=spec.get("priority", 5),
            cancel=spec.get("cancel", False),
            replays=spec.get("replays", 0),
            ttl=spec.get("ttlSecondsAfterFinished"),
            gitops=is_gitops(meta),
            phase=lifecycle.get(status, "phase"),
            batch=lifecycle.get(status, "batch"),
            pod=lifecycle.get(status, "pod"),
            attempt=lifecycle.get(status, "attempt"),
            observed_replays=lifecycle.get(status, "observedReplays"),
            reason=lifecycle.get(status, "reason"),
            message=lifecycle.get(status, "message"),
            queued=queued,
            due=_seconds(status.get("nextAttemptTime")) or 0.0,
            finished=_seconds(status.get("finishTime")),
        )


class LastRun(NamedTuple):
    """How long a TestJob's last run took that came to a result. Later runs compare as greater."""

    finished: float
    target: Key
    test: str
    seconds: float

    @classmethod
    def from_object(cls, obj: Object) -> LastRun | None:
        """Read it from a TestJob as the API server returns it; None where it has had no such run."""
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        for attempt in reversed(status.get("attempts") or ()):
            began, ended = _seconds(attempt.get("startTime")), _seconds(attempt.get("finishTime"))
            if attempt.get("outcome") != "infrastructure" and began is not None and ended is not None:
                target = Key(meta["namespace"], spec["target"])
                # The API's times are whole seconds.
                return cls(ended, target, spec["test"], max(ended - began, 0.5))
        return None


class Entry(NamedTuple):
    """One TestJob that a TestBatch names."""

    name: str
    uid: str
    attempt: int


class TestTime(NamedTuple):
    """How one TestJob of a batch went."""

    name: str
    outcome: str
    seconds: float
    test: str = ""


class Turn(NamedTuple):
    """Whose turn a batch is, and how its org stood when it was made: see testqueue.core.ledger."""

    org: str
    weight: float
    floor: float
    start: float
    install_seconds: float

    @classmethod
    def from_object(cls, obj: Object) -> Turn:
        """The view of a TestBatch's spec.turn."""
        return cls(obj["orgId"], obj["weight"], obj["floor"], obj["start"], obj["installSeconds"])

    def to_object(self) -> Object:
        """As a TestBatch's spec has it."""
        return {
            "orgId": self.org,
            "weight": self.weight,
            "floor": self.floor,
            "start": self.start,
            "installSeconds": self.install_seconds,
        }


@dataclass(frozen=True, slots=True)
class BatchView:
    """A TestBatch."""

    namespace: str
    name: str
    uid: str
    version: int
    app_version_id: str
    target: str
    device: str
    #: host:port that its runner was told, whatever the target says by now.
    address: str
    trial: bool
    #: It was asked to give back what it has not started.
    yields: bool
    turn: Turn | None
    fence_seconds: float | None
    entries: tuple[Entry, ...]
    #: Device seconds by org: what it took once it is over, what is expected until then.
    costs: tuple[tuple[str, float], ...]
    created: float
    phase: str
    pod: str
    pod_name: str
    open: bool
    started: float | None
    finished: float | None
    install_seconds: float | None
    passed: int
    failed: int
    infrastructure: int
    tests: tuple[TestTime, ...]
    reason: str
    message: str

    @property
    def key(self) -> Key:
        """Its namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def group(self) -> Group:
        """The TestJobs that it was made of."""
        return Group(self.namespace, self.app_version_id, self.target)

    @property
    def over(self) -> bool:
        """Whether it has ended: its slot and its device are free."""
        return self.phase in BATCH_OVER

    @property
    def local(self) -> bool:
        """Whether a runner outside of the cluster has it, whose process is in no pod that could be seen."""
        return self.pod_name.startswith(LOCAL_POD_PREFIX)

    @property
    def device_failed(self) -> bool:
        """Whether it ended in a way that its device may be to blame for."""
        return self.phase == "Failed" and (self.reason in DEVICE_REASONS or not self.tests_run)

    @property
    def tests_run(self) -> bool:
        """Whether any of its tests came to run; else it failed as a whole, at its start or its install."""
        return self.install_seconds is not None

    @classmethod
    def from_object(cls, obj: Object) -> BatchView:
        """The view of a TestBatch as the API server returns it."""
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        turn = Turn.from_object(spec["turn"]) if spec.get("turn") else None
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            app_version_id=spec["appVersionId"],
            target=spec["target"],
            device=(spec.get("device") or {}).get("name", ""),
            address=(spec.get("device") or {}).get("address", ""),
            trial=spec.get("trial", False),
            yields=spec.get("yield", False),
            turn=turn,
            fence_seconds=spec.get("fenceSeconds"),
            entries=tuple(Entry(job["name"], job["uid"], job["attempt"]) for job in spec["jobs"]),
            costs=_costs(spec["jobs"], turn, status),
            created=_seconds(meta["creationTimestamp"]) or 0.0,
            phase=status.get("phase") or "Pending",
            pod=status.get("pod") or "",
            pod_name=status.get("podName") or "",
            open=status.get("open", True),
            started=_seconds(status.get("startTime")),
            finished=_seconds(status.get("finishTime")),
            install_seconds=status.get("installSeconds"),
            passed=status.get("passed", 0),
            failed=status.get("failed", 0),
            infrastructure=status.get("infrastructure", 0),
            tests=tuple(
                TestTime(test["name"], test["outcome"], test.get("seconds", 0.0), test.get("test", ""))
                for test in status.get("tests") or ()
            ),
            reason=status.get("reason") or "",
            message=status.get("message") or "",
        )


class DeviceView(NamedTuple):
    """A device of a target's spec."""

    name: str
    address: str
    drained: bool = False


class DeviceLease(NamedTuple):
    """A device in a target's status: which batch has it, and what is known of its health.

    One that is quarantined has `until`, and keeps it while a batch tries whether it is well again.
    """

    name: str
    batch: str = ""
    since: str | None = None
    address: str = ""
    state: DeviceState = "Free"
    failures: int = 0
    until: str | None = None
    reason: str = ""
    message: str = ""

    @property
    def on_probation(self) -> bool:
        """Whether it was quarantined, and no batch has gone well on it since."""
        return self.until is not None

    @property
    def tried_from(self) -> float:
        """When a quarantined one may be tried again, in seconds since the epoch."""
        return _seconds(self.until) or 0.0

    @classmethod
    def from_object(cls, obj: Object) -> DeviceLease:
        """The view of an entry of a target's status.devices."""
        return cls(
            name=obj["name"],
            batch=obj.get("batch") or "",
            since=obj.get("since"),
            address=obj.get("address") or "",
            state=obj.get("state") or "Free",
            failures=obj.get("failures", 0),
            until=obj.get("until"),
            reason=obj.get("reason") or "",
            message=obj.get("message") or "",
        )

    def to_object(self) -> Object:
        """The entry of status.devices; what does not apply is left out."""
        return {field: value for field, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When a device is quarantined, and for how long. Times in seconds; the defaults are TestTarget.spec.health's."""

    failures: int = 2
    backoff_seconds: float = 60
    max_backoff_seconds: float = 3600

    @classmethod
    def from_target_spec(cls, spec: Object) -> HealthPolicy:
        """Read it from a TestTarget's spec as the API server returns it."""
        health = spec.get("health") or {}
        return cls(
            failures=health.get("failures", 2),
            backoff_seconds=health.get("backoffSeconds", 60),
            max_backoff_seconds=health.get("maxBackoffSeconds", 3600),
        )


class TargetCounts(NamedTuple):
    """What a target's status tells of its load."""

    slots: int
    running: int
    waiting: int


@dataclass(frozen=True, slots=True)
class TargetView:
    """A TestTarget."""

    namespace: str
    name: str
    uid: str
    version: int
    driver: str
    devices: tuple[DeviceView, ...]
    has_devices: bool
    parallelism: int | None
    max_tests: int
    target_seconds: float
    isolate_orgs: bool
    shares: Shares
    retry: RetryPolicy
    health: HealthPolicy
    start_seconds: float
    batch_seconds: float
    fence_seconds: float
    leases: tuple[DeviceLease, ...]
    counts: TargetCounts
    spec: Object

    @property
    def key(self) -> Key:
        """Its namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def slots(self) -> int:
        """Batches that may run at once: parallelism, but never more than there are devices."""
        if self.has_devices:
            devices = len(self.devices)
            return devices if self.parallelism is None else min(self.parallelism, devices)
        return 1 if self.parallelism is None else self.parallelism

    @classmethod
    def from_object(cls, obj: Object) -> TargetView:
        """The view of a TestTarget as the API server returns it; its defaults are filled in by the schema."""
        meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        devices = (spec.get("provider") or {}).get("devices")
        batch, timeouts = spec.get("batch") or {}, spec.get("timeouts") or {}
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            driver=(spec.get("driver") or {}).get("name", "appwright"),
            devices=tuple(
                DeviceView(device["name"], device["address"], device.get("drained", False))
                for device in devices or ()
            ),
            has_devices=devices is not None,
            parallelism=spec.get("parallelism"),
            max_tests=batch.get("maxTests", 50),
            target_seconds=batch.get("targetSeconds", 120),
            isolate_orgs=batch.get("isolateOrgs", False),
            shares=Shares.from_target_spec(spec),
            retry=RetryPolicy.from_target_spec(spec),
            health=HealthPolicy.from_target_spec(spec),
            start_seconds=timeouts.get("startSeconds", 300),
            batch_seconds=timeouts.get("installSeconds", 300) + timeouts.get("batchSeconds", 7200),
            fence_seconds=timeouts.get("fenceSeconds", 60),
            leases=tuple(DeviceLease.from_object(device) for device in status.get("devices") or ()),
            counts=TargetCounts(status.get("slots", 0), status.get("running", 0), status.get("waiting", 0)),
            spec=spec,
        )


@dataclass(frozen=True, slots=True)
class PodView:
    """A runner's pod."""

    namespace: str
    name: str
    uid: str
    version: int
    batch: str
    phase: str
    terminated: bool
    evicted: bool
    #: When its grace period ends, once someone has deleted it.
    deleted: float | None
    #: It has a node, but no container of it could be made yet: most often a volume is missing.
    mounting: bool
    problem: str
    message: str

    @property
    def key(self) -> Key:
        """Its namespace and name."""
        return Key(self.namespace, self.name)

    def overdue(self, now: float) -> bool:
        """Whether it was deleted, should have ended by now, and did not: its node can't be reached."""
        return not self.terminated and self.deleted is not None and now > self.deleted + DELETED_TOKEN_SECONDS

    @classmethod
    def from_object(cls, obj: Object) -> PodView:
        """The view of a pod as the API server returns it."""
        meta, status = obj["metadata"], obj.get("status") or {}
        phase = status.get("phase") or "Pending"
        conditions = {each["type"]: each for each in status.get("conditions") or ()}
        problem, message = _pod_problem(status, _sidecars(obj), conditions)
        if problem == "CreateContainerConfigError":
            problem, message = in_words(problem, message, meta["namespace"])
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            batch=(meta.get("labels") or {}).get(BATCH_LABEL, ""),
            phase=phase,
            # The phase alone is not proof: the API server sets it for a node that it has merely lost sight of.
            terminated=phase in {"Succeeded", "Failed"}
            and all(
                "terminated" in (each.get("state") or {}) for each in status.get("containerStatuses") or ()
            ),
            evicted=status.get("reason") in {"Evicted", "Preempting", "NodeShutdown", "Terminated"}
            or conditions.get("DisruptionTarget", {}).get("status") == "True",
            deleted=_seconds(meta.get("deletionTimestamp")),
            mounting=not problem
            and phase == "Pending"
            and conditions.get("PodScheduled", {}).get("status") == "True"
            and conditions.get("PodReadyToStartContainers", {}).get("status") == "False",
            problem=problem,
            message=message,
        )


@dataclass(frozen=True, slots=True)
class KubeJobView:
    """The Kubernetes Job of a batch."""

    namespace: str
    name: str
    uid: str
    version: int
    created: float
    ended: bool
    message: str

    @property
    def key(self) -> Key:
        """Its namespace and name, the batch's."""
        return Key(self.namespace, self.name)

    @classmethod
    def from_object(cls, obj: Object) -> KubeJobView:
        """The view of a Job as the API server returns it."""
        meta, status = obj["metadata"], obj.get("status") or {}
        ends = [
            each
            for each in status.get("conditions") or ()
            if each["type"] in {"Complete", "Failed"} and each["status"] == "True"
        ]
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            created=_seconds(meta["creationTimestamp"]) or 0.0,
            ended=bool(ends),
            message=" ".join(filter(None, (each.get("message") for each in ends))),
        )


def date_time(seconds: float) -> str:
    """Seconds since the epoch as the API writes them."""
    return lifecycle.timestamp(datetime.fromtimestamp(seconds, UTC))


def _costs(jobs: list[Object], turn: Turn | None, status: Object) -> tuple[tuple[str, float], ...]:
    """Device seconds by org. Before the end nobody knows better than who made the batch."""
    costs: defaultdict[str, float] = defaultdict(float)
    install = status.get("installSeconds")
    if status.get("phase") in BATCH_OVER:
        orgs = {job["name"]: job.get("orgId", "") for job in jobs}
        for test in status.get("tests") or ():
            costs[orgs.get(test["name"], "")] += test.get("seconds", 0.0)
        if install is None:
            # An install that failed had the device, too.
            ended = _seconds(status.get("finishTime")) or 0.0
            install = max(ended - (_seconds(status.get("startTime")) or ended), 0.0)
    else:
        for job in jobs:
            costs[job.get("orgId", "")] += job.get("seconds", 0.0)
        if install is None and turn is not None:
            install = turn.install_seconds
    if turn is not None:
        costs[turn.org] += install or 0.0
    costs.pop("", None)  # of batches that were made before orgs were noted
    return tuple(costs.items())


def _seconds(text: str | None) -> float | None:
    moment = lifecycle.parse_time(text)
    return None if moment is None else moment.timestamp()


#: Reasons of a waiting container that don't pass by themselves soon; others (ContainerCreating) are ordinary.
_WAITING_PROBLEMS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)


def _sidecars(pod: Object) -> frozenset[str]:
    """The names of its native sidecars: they run beside the runner, and are ended after it."""
    containers = (pod.get("spec") or {}).get("initContainers") or ()
    return frozenset(each["name"] for each in containers if each.get("restartPolicy") == "Always")


def _pod_problem(status: Object, sidecars: frozenset[str], conditions: dict[str, Object]) -> tuple[str, str]:
    """A CamelCase reason and a message on why the pod does not start, or why it ended badly."""
    # The runner's own end first: what came before it is why the runner never began.
    for each in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        state = each.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") in _WAITING_PROBLEMS:
            text = waiting.get("message") or f"container {each['name']} cannot start"
            before = (each.get("lastState") or {}).get("terminated")
            return waiting["reason"], f"{_ended(each['name'], before)}; {text}" if before else text
        ended = state.get("terminated") or {}
        # A sidecar that ends is started again, or its pod was over.
        if ended.get("exitCode") and each["name"] not in sidecars:
            reason = ended.get("reason") or "Error"
            return ("PodFailed" if reason == "Error" else reason), _ended(each["name"], ended)
    if status.get("reason"):
        return status["reason"], status.get("message") or ""
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return scheduled.get("reason") or "Unschedulable", scheduled.get("message") or ""
    return "", ""


def _ended(container: str, ended: Object) -> str:
    text = f"container {container} ended with exit code {ended.get('exitCode')}"
    if said := str(ended.get("message") or "").strip():
        text += f": {said}"
    return text
