"""One form for all states that are alike, and the steps that need no order of their own.

After each step the world is brought into one form, so that a search meets each state once: versions and attempts
are renumbered, what nobody can ask for again is forgotten, and batches and operators stand in one order.

What happens here at once may take a while in truth: garbage collection, the Job controller's and the kubelets'
last words, the end of a process that has nothing to do, a wait for the fence time. Each only makes more
possible, or hides nothing: whoever acts on it can do so as late as they like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .state import (
    DELETING,
    ENDED,
    FRESH,
    LIVE,
    NO_BATCH,
    NO_POD,
    NOBODY,
    NONE,
    OVERDUE,
    PODS,
    REMOVED,
    STALE,
    Batch,
    Missed,
    Pod,
    World,
)

if TYPE_CHECKING:
    from .rules import Rules

Entries = tuple[tuple[int, int], ...]


def settled(world: World, rules: Rules) -> World:
    """The same world in its one form."""
    form = _Form(world, rules)
    form.versions()
    for number, batch in enumerate(form.batches):
        if batch is not None:
            form.processes(number, batch)
            form.kubernetes(number)
            form.forget(number)
    form.move_up()
    form.attempts()
    form.waits()
    return World(
        form.jobs,
        tuple(form.batches),
        tuple(form.pods),
        form.lease,
        # Nobody knows operators by their number, so their order means nothing.
        tuple(sorted(form.operators)),
        world.faults,
    )


class _Form:
    """A world whose parts can be exchanged."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.jobs = world.jobs
        self.batches = list(world.batches)
        self.pods = list(world.pods)
        self.lease = world.lease
        self.operators = list(world.operators)
        self._rules = rules

    def versions(self) -> None:
        """An object's version reads FRESH again, and so does a remembered one that is the same."""
        changed_jobs = {number for number, job in enumerate(self.jobs) if job.version != FRESH}
        changed = {number for number, batch in enumerate(self.batches) if batch and batch.version != FRESH}
        if not changed_jobs and not changed:
            return
        self.jobs = tuple(job if job.version == FRESH else job._replace(version=FRESH) for job in self.jobs)
        for number in changed:
            batch = self.batches[number]
            self.batches[number] = batch and batch._replace(version=FRESH)
            for place in range(number * PODS, number * PODS + PODS):
                pod = self.pods[place]
                if pod.runner is not None and pod.runner.version == FRESH:
                    self.pods[place] = pod._replace(runner=pod.runner._replace(version=STALE))
        for number, operator in enumerate(self.operators):
            if operator.batch in changed and operator.batch_version == FRESH:
                operator = operator._replace(batch_version=STALE)
            if any(operator.job_versions[job] == FRESH for job in changed_jobs):
                operator = operator._replace(
                    job_versions=tuple(
                        STALE if job in changed_jobs and version == FRESH else version
                        for job, version in enumerate(operator.job_versions)
                    )
                )
            self.operators[number] = operator

    def processes(self, number: int, batch: Batch) -> None:
        """Processes that can do nothing any more but hold the device, or not even that."""
        for place in range(number * PODS, number * PODS + PODS):
            pod = self.pods[place]
            runner = pod.runner
            if runner is None:
                continue
            if not pod.token and runner.at not in ("running", "silent"):
                silent = runner._replace(
                    at="silent", entry=0, version=NONE, handled=0, stop=False, outcome=""
                )
                pod = pod._replace(runner=silent if runner.device else None)
            if runner.at == "own" and runner.version == STALE and self._rules.one_owner:
                pod = pod._replace(runner=runner._replace(at="boot", version=NONE))
            if pod.runner is not None and pod.runner.at == "boot":
                taken = batch.owner not in (NONE, place)
                if taken or not batch.there or batch.over:
                    pod = Pod({LIVE: ENDED, DELETING: REMOVED}.get(pod.object, pod.object), True, None)
            self.pods[place] = pod

    def kubernetes(self, number: int) -> None:
        """Garbage collection, and the end of a Kubernetes Job whose pods have ended."""
        batch = self.batches[number]
        assert batch is not None, "it was there a moment ago"
        places = range(number * PODS, number * PODS + PODS)
        if not batch.there or not batch.kube_job:
            if batch.kube_job:
                self.batches[number] = batch._replace(kube_job="")
            for place in places:
                pod = self.pods[place]
                if pod.object == LIVE and pod.runner is not None:
                    self.pods[place] = Pod(DELETING, pod.token, pod.runner._replace(stop=True))
                elif pod.object == ENDED:
                    self.pods[place] = pod._replace(object=REMOVED)
        elif batch.kube_job == "active" and batch.pods_made:
            made = [self.pods[place].object for place in places[: batch.pods_made]]
            if all(each in (ENDED, REMOVED) for each in made):
                self.batches[number] = batch._replace(kube_job="ended")

    def forget(self, number: int) -> None:
        """Parts of a batch that is over, and all of one that nobody can speak of any more."""
        batch = self.batches[number]
        if batch is None or (batch.there and not batch.over):
            return
        if batch.there and self.lease == number:
            # That it is over never becomes untrue, so a cache may say that its device is free.
            self.lease = NONE
        own = range(number * PODS, number * PODS + PODS)
        if any(self.pods[place].runner is not None for place in own):
            return
        mine = [job for job in self.jobs if job.batch == number]
        busy = any(operator.batch == number for operator in self.operators)
        if not mine and self.lease != number:
            self.operators = [
                each
                if each.missed[number] == NOBODY
                else each._replace(missed=_put(each.missed, number, NOBODY))
                for each in self.operators
            ]
            if not busy:
                # One that is over is past its TTL: live reads have shown that it has no claims.
                self.batches[number] = None
                self.pods[own[0] : own[-1] + 1] = [NO_POD] * PODS
                return
        if not any(job.phase == "Running" for job in mine):
            self.pods[own[0] : own[-1] + 1] = [NO_POD] * PODS
            batch = batch._replace(kube_job="", pods_made=0)
        self.batches[number] = batch._replace(late=False, entries=batch.entries if busy else ())

    def move_up(self) -> None:
        """A batch takes the place of an earlier one that is forgotten, so that they stand in order of age."""
        for gap in range(len(self.batches) - 1):
            if self.batches[gap] is None and self.batches[gap + 1] is not None:
                self._rename(gap + 1, gap)

    def _rename(self, old: int, new: int) -> None:
        shift = (new - old) * PODS
        mine = range(old * PODS, old * PODS + PODS)

        def pod(place: int) -> int:
            return place + shift if place in mine else place

        batch = self.batches[old]
        self.batches[new] = batch and batch._replace(owner=pod(batch.owner))
        self.batches[old] = None
        self.pods[new * PODS : new * PODS + PODS] = [self.pods[place] for place in mine]
        self.pods[mine[0] : mine[-1] + 1] = [NO_POD] * PODS
        self.jobs = tuple(
            job._replace(batch=new, pod=pod(job.pod)) if job.batch == old else job for job in self.jobs
        )
        if self.lease == old:
            self.lease = new
        for number, operator in enumerate(self.operators):
            missed = list(operator.missed)
            missed[new] = missed[old]._replace(whom=pod(missed[old].whom))
            missed[old] = NOBODY
            operator = operator._replace(missed=tuple(missed))
            if operator.batch == old:
                operator = operator._replace(batch=new, found=_found(operator.found, pod))
            self.operators[number] = operator

    def attempts(self) -> None:
        """The lowest attempt that is known reads 0; one that follows on another one still does."""
        for number, job in enumerate(self.jobs):
            known = {job.attempt}
            for batch in self.batches:
                if batch is not None:
                    known.update(attempt for name, attempt in batch.entries if name == number)
            for operator in self.operators:
                known.update(attempt for name, attempt in operator.entries if name == number)
            order = sorted(known)
            if order[-1] <= 1:
                continue
            new, last = {order[0]: 0}, order[0]
            for attempt in order[1:]:
                new[attempt] = new[last] + min(attempt - last, 2)
                last = attempt
            if new[last] == last:
                continue
            self.jobs = _put(self.jobs, number, job._replace(attempt=new[job.attempt]))
            for place, batch in enumerate(self.batches):
                if batch is not None and batch.entries:
                    self.batches[place] = batch._replace(entries=_renamed(batch.entries, number, new))
            for place, operator in enumerate(self.operators):
                if operator.entries:
                    self.operators[place] = operator._replace(entries=_renamed(operator.entries, number, new))

    def waits(self) -> None:
        """A wait that is over, or has no object any more."""
        for number, operator in enumerate(self.operators):
            if all(missed == NOBODY for missed in operator.missed):
                continue
            self.operators[number] = operator._replace(
                missed=tuple(self._wait(place, missed) for place, missed in enumerate(operator.missed))
            )

    def _wait(self, number: int, missed: Missed) -> Missed:
        batch = self.batches[number]
        if batch is None or missed == NOBODY:
            return NOBODY
        looked_for = self._rules.absence_of_one and self._rules.live_look
        if looked_for and not self._is_missing(number, batch, missed.whom):
            # Who is missed is looked for again every few seconds, so being seen ends the wait.
            return NOBODY
        return missed._replace(waited=missed.waited or self._fence_time_passes(number, batch))

    def _is_missing(self, number: int, batch: Batch, whom: int) -> bool:
        if whom != (batch.owner if batch.there else NO_BATCH):
            return False
        if whom >= 0:
            return self.pods[whom].object in (OVERDUE, REMOVED)
        own = self.pods[number * PODS : number * PODS + PODS]
        return not any(pod.object in (LIVE, DELETING) for pod in own)

    def _fence_time_passes(self, number: int, batch: Batch) -> bool:
        """Whether the fence time, and its margin, can be over for runners that can't be seen.

        They have fenced themselves by then. And whoever leased the device for this batch has created it by
        then, or lost its Lease and gives up: a Lease's duration and a request's timeout are both shorter.
        """
        if not batch.there and any(each.at == "create" and each.batch == number for each in self.operators):
            return False
        if not self._rules.fencing:
            return True
        own = self.pods[number * PODS : number * PODS + PODS]
        return not any(pod.runner is not None and pod.object in (OVERDUE, REMOVED) for pod in own)


def _found(found: tuple[object, ...], pod: object) -> tuple[object, ...]:
    """What an operator has found out about a batch that was renamed. `pod` gives a pod's new number."""
    out: list[object] = []
    for part in found:
        if isinstance(part, Batch):
            out.append(part._replace(owner=pod(part.owner)))  # type: ignore[operator]
        elif isinstance(part, tuple):
            out.append(tuple((pod(place), state) for place, state in part))  # type: ignore[operator]
        else:
            out.append(part)
    return tuple(out)


def _renamed(entries: Entries, job: int, new: dict[int, int]) -> Entries:
    return tuple((name, new[attempt] if name == job else attempt) for name, attempt in entries)


def _put(values, place, value):  # type: ignore[no-untyped-def]
    return (*values[:place], value, *values[place + 1 :])
