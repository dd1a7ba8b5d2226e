"""One state of the world, as small as it can be: plain tuples, which hash and compare quickly.

TestJobs, batches and pods are known by their number; a pod's is PODS × its batch's number + 0 or 1. NONE means
none of them.

Two kinds of numbers would grow for ever, and are renumbered after each step (settling.py). Of a version, only
whether the one that somebody remembers is still the object's matters: an object's version reads 0 again, and a
remembered one reads FRESH (the same) or STALE (an earlier one). Of attempts, only their order matters, and which
follows directly on which.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

NONE: Final = -1
NO_BATCH: Final = -2
FRESH: Final = 0
STALE: Final = 1
#: What a write sets an object's version to, until settling.py has told all who remember the one before.
CHANGED: Final = 2

#: Pods that the Kubernetes Job of one batch can have in a search: the one, and a twin.
PODS: Final = 2

PENDING: Final = "Pending"
INSTALLING: Final = "Installing"
COMPLETED: Final = "Completed"
FAILED: Final = "Failed"
OVER: Final = frozenset({COMPLETED, FAILED})

#: A pod's object: not made yet; its process may run; deleted with grace; deleted long ago on a node that is
#: lost; its containers are reported ended; it does not exist any more.
NOT_MADE, LIVE, DELETING, OVERDUE, ENDED, REMOVED = (
    "not made",
    "live",
    "deleting",
    "overdue",
    "ended",
    "removed",
)


class Job(NamedTuple):
    """A TestJob's status."""

    version: int
    phase: str
    batch: int
    pod: int
    attempt: int
    failures: int


class Batch(NamedTuple):
    """A TestBatch, and its Kubernetes Job. `there`: the TestBatch exists."""

    version: int
    there: bool
    entries: tuple[tuple[int, int], ...]
    owner: int
    phase: str
    #: "" (none), "active" or "ended".
    kube_job: str
    pods_made: int
    late: bool

    @property
    def over(self) -> bool:
        """Whether it is marked as over."""
        return self.phase in OVER


class Runner(NamedTuple):
    """A runner's process. `at` is the next thing that it does (runners.py)."""

    at: str
    #: The place of the entry that it is busy with.
    entry: int
    #: The batch's version that it read.
    version: int
    #: A bit for each entry that needs nothing more.
    handled: int
    stop: bool
    #: It has the device.
    device: bool
    outcome: str


class Pod(NamedTuple):
    """A pod's object and what runs in it. `token`: the API server still takes its token."""

    object: str
    token: bool
    runner: Runner | None


class Missed(NamedTuple):
    """Whom an operator could not see: the batch's owner, the batch itself (NO_BATCH), or nobody (NONE).

    `waited`: that was longer ago than the fence time.
    """

    whom: int
    waited: bool


class Operator(NamedTuple):
    """An operator. `at` is the next thing that it does (operators.py); the other fields are what it knows."""

    at: str
    batch: int
    #: Remembered versions: the batch's, and each TestJob's.
    batch_version: int
    job_versions: tuple[int, ...]
    entries: tuple[tuple[int, int], ...]
    cursor: int
    #: It goes on with a batch that somebody has left.
    resumes: bool
    won: bool
    #: What a live look has found so far, and what is to be done about it.
    found: tuple[object, ...]
    todo: tuple[tuple[str, int], ...]
    #: For each batch, who could not be seen.
    missed: tuple[Missed, ...]


class World(NamedTuple):
    """All of it."""

    jobs: tuple[Job, ...]
    batches: tuple[Batch | None, ...]
    pods: tuple[Pod, ...]
    #: The batch that the device is leased to.
    lease: int
    operators: tuple[Operator, ...]
    #: Faults that may still happen.
    faults: int


NOBODY: Final = Missed(NONE, waited=False)
NO_POD: Final = Pod(NOT_MADE, True, None)


def beginning(jobs: int, batches: int, operators: int, faults: int) -> World:
    """TestJobs that were just submitted, and operators that have just started."""
    idle = Operator(
        at="idle",
        batch=NONE,
        batch_version=NONE,
        job_versions=(NONE,) * jobs,
        entries=(),
        cursor=0,
        resumes=False,
        won=False,
        found=(),
        todo=(),
        missed=(NOBODY,) * batches,
    )
    return World(
        jobs=(Job(FRESH, PENDING, NONE, NONE, 0, 0),) * jobs,
        batches=(None,) * batches,
        pods=(NO_POD,) * (batches * PODS),
        lease=NONE,
        operators=(idle,) * operators,
        faults=faults,
    )


def put(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """The tuple with another value in one place."""
    return (*values[:place], value, *values[place + 1 :])


def with_job(world: World, number: int, job: Job) -> World:
    """The world with a TestJob that was written."""
    return world._replace(jobs=put(world.jobs, number, job._replace(version=CHANGED)))


def with_batch(world: World, number: int, batch: Batch | None, *, written: bool = True) -> World:
    """The world with a batch that was written (or whose Kubernetes Job or pods have changed, which is not its own)."""
    if written and batch is not None:
        batch = batch._replace(version=CHANGED)
    return world._replace(batches=put(world.batches, number, batch))


def with_pod(world: World, number: int, pod: Pod) -> World:
    """The world with another pod in that place."""
    return world._replace(pods=put(world.pods, number, pod))


def with_runner(world: World, number: int, runner: Runner) -> World:
    """The world with that pod's process at another place."""
    return with_pod(world, number, world.pods[number]._replace(runner=runner))


def with_operator(world: World, number: int, operator: Operator) -> World:
    """The world with that operator at another place."""
    return world._replace(operators=put(world.operators, number, operator))


def without_runner(world: World, number: int) -> World:
    """The process of that pod has ended, and its kubelet says so where it can."""
    pod = world.pods[number]
    now = {LIVE: ENDED, DELETING: REMOVED}.get(pod.object, pod.object)
    return with_pod(world, number, Pod(now, True, None))
