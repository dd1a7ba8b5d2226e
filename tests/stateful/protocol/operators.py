"""An operator: makes batches, goes on with those that were cut short, repairs odd ones, and frees the device.

    idle ─▶ lease ─▶ create ─▶ claim ─▶ … ─▶ launch ─▶ idle              a new batch
                                 └▶ claim look ─▶ claim live ┘
    idle ─▶ claim look ─▶ … ─▶ list ─▶ launch ─▶ idle                    one without a Kubernetes Job
    idle ─▶ check pods ─▶ check jobs ─▶ carry out … ─▶ idle              an odd one

Two operators at once are also the model of one whose work overlaps, and of the Lease failing: nothing here
rests on there being one leader, but for one thing. A request to create a batch, once its device was leased,
arrives before another operator has waited for the fence time, or never (settling.py).

Any batch may be nominated for a look at any time, so it does not matter from how old a cache it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qgjob.api import lifecycle

from . import decisions
from .state import (
    FAILED,
    FRESH,
    NO_BATCH,
    NOBODY,
    NONE,
    NOT_MADE,
    PENDING,
    PODS,
    REMOVED,
    Batch,
    Missed,
    Operator,
    put,
    with_batch,
    with_job,
    with_operator,
)
from .steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rules import Bounds, Rules
    from .state import Job, World

_VERSIONED: Final = {"give_back", "charge"}


class OperatorSteps:
    """The steps that one operator can take."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds

    def of(self, world: World, number: int) -> Iterator[Step]:
        """All of them."""
        operator = world.operators[number]
        for step in getattr(self, "_" + operator.at.replace(" ", "_"))(world, number, operator):
            yield step._replace(label=f"an operator {step.label}")
        if world.faults and "crash" in self._bounds.kinds:
            fresh = self._fresh(operator)
            if fresh != operator:
                yield Step(
                    f"an operator crashes ({operator.at})", with_operator(world, number, fresh), fault=True
                )

    # What it does next

    def _idle(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        yield from self._plan(world, number, operator)
        for place, batch in enumerate(world.batches):
            if batch is None:
                continue
            if (
                self._rules.resuming
                and batch.there
                and not batch.over
                and batch.owner == NONE
                and not batch.kube_job
            ):
                now = operator._replace(
                    at="claim look",
                    resumes=True,
                    batch=place,
                    batch_version=batch.version,
                    entries=batch.entries,
                )
                yield Step(f"goes on with batch {place}", with_operator(world, number, now))
            # Over, with nothing left behind: nobody ever looks at it again.
            left = any(job.batch == place for job in world.jobs)
            look = left or (not batch.over if batch.there else world.lease == place)
            if self._rules.repairing and look:
                yield from self._nominate(world, number, operator, place, batch)

    def _nominate(
        self, world: World, number: int, operator: Operator, place: int, batch: Batch
    ) -> Iterator[Step]:
        read = batch._replace(entries=(), kube_job="", pods_made=0) if batch.there else None
        pods = _pods_of(world, place)
        absent = self._absent(operator, place, batch)
        well = decisions.is_well(place, read, len(world.jobs), pods, batch.kube_job, absent)
        if well and self._rules.live_look and not self._bounds.any_look:
            return
        now = operator._replace(
            at="check pods",
            batch=place,
            batch_version=batch.version,
            # () for None: what operators know is put into an order.
            found=(absent, read or ()),
        )
        yield Step(f"reads batch {place}", with_operator(world, number, now))

    def _absent(self, operator: Operator, place: int, batch: Batch) -> str:
        """How long the one that is missed has been missed when the look begins: "" (not before), "missed", "waited"."""
        if not self._rules.fence_wait:
            return "waited"
        missed = operator.missed[place]
        whom = batch.owner if batch.there else NO_BATCH
        if missed == NOBODY or (missed.whom != whom and self._rules.absence_of_one):
            return ""
        return "waited" if missed.waited else "missed"

    # A new batch

    def _plan(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        if self._bounds.device and not self._is_free(world):
            return
        waiting = [place for place, job in enumerate(world.jobs) if job.phase in lifecycle.WAITING]
        if not waiting or None not in world.batches:
            return
        now = operator._replace(
            at="lease" if self._bounds.device else "create",
            entries=tuple((place, world.jobs[place].attempt + 1) for place in waiting),
            job_versions=tuple(
                job.version if place in waiting else NONE for place, job in enumerate(world.jobs)
            ),
        )
        yield Step(f"plans a batch of {waiting}", with_operator(world, number, now))

    def _is_free(self, world: World) -> bool:
        """Whether no batch has the device. That of a batch which is over reads as free at once (state.py)."""
        batch = None if world.lease == NONE else world.batches[world.lease]
        return batch is None or (not batch.there and not self._rules.device_wait)

    def _lease(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        if not self._is_free(world) or None not in world.batches:
            yield Step("is refused the device", with_operator(world, number, self._done(operator)))
            return
        place = world.batches.index(None)
        # The name is taken from here on, though the batch does not exist yet.
        named = Batch(FRESH, False, operator.entries, NONE, PENDING, "", 0, False)
        now = operator._replace(at="create", batch=place)
        leased = with_batch(world, place, named, written=False)._replace(lease=place)
        yield Step(f"leases the device for batch {place}", with_operator(leased, number, now))

    def _create(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        place = operator.batch
        if place == NONE:
            if None not in world.batches:
                return
            place = world.batches.index(None)
        created = Batch(FRESH, True, operator.entries, NONE, PENDING, "", 0, False)
        now = operator._replace(at="claim", batch=place, batch_version=FRESH, cursor=0)
        yield Step(
            f"creates batch {place}",
            with_operator(with_batch(world, place, created, written=False), number, now),
        )

    def _claim(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        job, attempt = operator.entries[operator.cursor]
        live = world.jobs[job]
        if operator.job_versions[job] == FRESH or not self._rules.claim_precondition:
            believed = live._replace(phase=lifecycle.PENDING, attempt=attempt - 1)
            yield self._claims(world, number, operator, job, believed)
        else:
            now = operator._replace(at="claim look")
            yield Step(f"is refused the claim of job {job}", with_operator(world, number, now))

    def _claim_look(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        job, attempt = operator.entries[operator.cursor]
        live = world.jobs[job]
        free = live.phase in lifecycle.WAITING and live.attempt + 1 == attempt
        if free:
            seen = put(operator.job_versions, job, live.version)
            now = operator._replace(at="claim live", job_versions=seen)
            yield Step(f"reads that job {job} is free", with_operator(world, number, now))
        else:
            now = self._after_claim(operator)
            yield Step(f"reads that job {job} is not free", with_operator(world, number, now))

    def _claim_live(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        job, attempt = operator.entries[operator.cursor]
        if operator.job_versions[job] == FRESH or not self._rules.claim_precondition:
            believed = world.jobs[job]._replace(phase=lifecycle.PENDING, attempt=attempt - 1)
            yield self._claims(world, number, operator, job, believed)
        else:
            now = self._after_claim(operator)
            yield Step(f"leaves job {job}, which changes just now", with_operator(world, number, now))

    def _claims(self, world: World, number: int, operator: Operator, job: int, believed: Job) -> Step:
        written = with_job(world, job, decisions.claimed(believed, operator.batch))
        now = self._after_claim(operator._replace(won=True))
        return Step(f"claims job {job} for batch {operator.batch}", with_operator(written, number, now))

    def _after_claim(self, operator: Operator) -> Operator:
        job, _ = operator.entries[operator.cursor]
        operator = operator._replace(job_versions=put(operator.job_versions, job, NONE))
        if operator.cursor + 1 < len(operator.entries):
            # Cached views are there only for a batch that this operator has planned itself.
            following, _ = operator.entries[operator.cursor + 1]
            cached = operator.job_versions[following] != NONE
            return operator._replace(at="claim" if cached else "claim look", cursor=operator.cursor + 1)
        # Who goes on with a batch must know of claims that were written before.
        return operator._replace(at="list" if operator.resumes and not operator.won else "launch", cursor=0)

    def _list(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        """Which TestJobs are the batch's, whoever has claimed them."""
        mine = any(job.batch == operator.batch and job.phase in lifecycle.CLAIMED for job in world.jobs)
        now = operator._replace(at="launch", won=mine)
        yield Step(f"lists the TestJobs of batch {operator.batch}", with_operator(world, number, now))

    def _launch(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        place = operator.batch
        batch = world.batches[place]
        assert batch is not None, "a batch that an operator is busy with is not forgotten"
        done = self._done(operator)
        if operator.won:
            # That it exists already is as good; one whose batch is gone is collected at once.
            active = batch._replace(kube_job=batch.kube_job or "active")
            now = with_batch(world, place, active, written=False)
            yield Step(f"creates the Kubernetes Job of batch {place}", with_operator(now, number, done))
        elif batch.there and (operator.batch_version == FRESH or not self._rules.deletion_precondition):
            now = with_batch(world, place, batch._replace(there=False))
            yield Step(f"deletes batch {place}, which got nothing", with_operator(now, number, done))
        else:
            yield Step(f"leaves batch {place}, which has changed", with_operator(world, number, done))

    # An odd batch

    def _check_pods(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        place = operator.batch
        batch = world.batches[place]
        assert batch is not None, "a batch that an operator is busy with is not forgotten"
        seen = _pods_of(world, place)
        looks = [seen] if self._rules.live_look else [seen, ()]  # () is a cache from before there were any
        absent, read = operator.found
        for pods in looks:
            if decisions.is_well(place, read or None, len(world.jobs), pods, batch.kube_job, absent):  # type: ignore[arg-type]
                # Whatever the TestJobs say: so they need not be read, and a search has less to do.
                now = self._done(operator)._replace(missed=put(operator.missed, place, NOBODY))
                yield Step(f"sees that batch {place} is well", with_operator(world, number, now))
            else:
                now = operator._replace(at="check jobs", found=(absent, read, pods, batch.kube_job))
                yield Step(f"lists the pods of batch {place}", with_operator(world, number, now))

    def _check_jobs(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        place = operator.batch
        absent, read, pods, kube_job = operator.found
        repair = decisions.repair(place, read or None, world.jobs, pods, kube_job, absent)  # type: ignore[arg-type]
        todo = [("delete job", NONE)] if repair.delete_job else []
        todo += [(step.how, decisions.number_of(step.job.name)) for step in repair.release]
        todo += [("end", NONE)] if repair.end else []
        released = {job for _, job in todo}
        whom = read.owner if read else NO_BATCH  # type: ignore[attr-defined]
        now = operator._replace(
            at="carry out",
            found=(),
            todo=tuple(todo),
            batch_version=operator.batch_version if repair.end else NONE,
            job_versions=tuple(
                job.version if number in released else NONE for number, job in enumerate(world.jobs)
            ),
            missed=put(operator.missed, place, Missed(whom, absent == "waited") if repair.absent else NOBODY),
        )
        known = with_operator(world, number, now if todo else self._done(now))
        if repair.gone and known.lease == place:
            known = known._replace(lease=NONE)
        yield Step(f"lists the TestJobs of batch {place} and decides", known)

    def _carry_out(self, world: World, number: int, operator: Operator) -> Iterator[Step]:
        (what, job), *rest = operator.todo
        now = operator._replace(todo=tuple(rest)) if rest else self._done(operator)
        place = operator.batch
        batch = world.batches[place]
        assert batch is not None, "a batch that an operator is busy with is not forgotten"
        if what == "delete job":
            after = with_batch(world, place, batch._replace(kube_job=""), written=False)
            yield Step(f"deletes the Kubernetes Job of batch {place}", with_operator(after, number, now))
        elif what == "end":
            if batch.there and (operator.batch_version == FRESH or not self._rules.ending_precondition):
                after = with_batch(world, place, batch._replace(phase=FAILED))
                yield Step(f"marks batch {place} as over", with_operator(after, number, now))
            else:
                yield Step(f"is refused to end batch {place}", with_operator(world, number, now))
        elif operator.job_versions[job] != FRESH:
            yield Step(f"is refused job {job}, which has changed", with_operator(world, number, now))
        else:
            live = world.jobs[job]
            after_release = (
                decisions.given_back(live)
                if what == "give_back"
                else decisions.finished(live, "infrastructure", self._bounds.max_retries)
            )
            after = with_job(world, job, after_release)
            verb = "gives back" if what == "give_back" else "charges"
            yield Step(f"{verb} job {job}", with_operator(after, number, now))

    def _done(self, operator: Operator) -> Operator:
        return operator._replace(
            at="idle",
            batch=NONE,
            batch_version=NONE,
            job_versions=(NONE,) * len(operator.job_versions),
            entries=(),
            cursor=0,
            resumes=False,
            won=False,
            found=(),
            todo=(),
        )

    def _fresh(self, operator: Operator) -> Operator:
        """The one that comes after a crash: it remembers nothing."""
        return self._done(operator)._replace(missed=(NOBODY,) * len(operator.missed))


def _pods_of(world: World, batch: int) -> tuple[tuple[int, str], ...]:
    return tuple(
        (place, world.pods[place].object)
        for place in range(batch * PODS, batch * PODS + PODS)
        if world.pods[place].object not in (NOT_MADE, REMOVED)
    )
