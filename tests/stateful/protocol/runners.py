"""A runner's process: it owns its batch, runs what is claimed for it, reports, and closes the batch.

    boot ─▶ own ─▶ next ─▶ start ─▶ running ─▶ report ─▶ next … ─▶ settle … ─▶ end
              └▶ boot        └▶ start look        └▶ report look                └▶ close

Each arrow is one request to the API server, or the end of a test; below, the way after an answer that was
lost or said no. A look that finds what comes next is one step with the request before it: what is found is
tested again by the patch that follows, which may be as late as it likes. Not in the model: the install and the runner's
second write (they change nothing that others decide by), looks at claims while a test runs (they only end a test
that was taken away earlier), and entries that are appended while the batch runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgjob.api import lifecycle

from . import decisions
from .state import (
    COMPLETED,
    FRESH,
    INSTALLING,
    NONE,
    PODS,
    Job,
    with_batch,
    with_job,
    with_runner,
    without_runner,
)
from .steps import ProtocolViolation, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rules import Bounds, Rules
    from .state import Batch, Runner, World


class RunnerSteps:
    """The steps that the process in one pod can take."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds

    def of(self, world: World, place: int) -> Iterator[Step]:
        """All of them. `place` is the pod's number."""
        pod = world.pods[place]
        runner = pod.runner
        if runner is None:
            return
        batch = world.batches[place // PODS]
        assert batch is not None, "a batch with a process is not forgotten"
        who = f"runner {place}"
        if runner.at == "running":
            yield from self._test_ends(world, place, runner)
        if self._rules.fencing and self._is_cut_off(world, place, batch):
            yield Step(f"{who} fences itself", without_runner(world, place))
        if pod.token:
            for step in getattr(self, "_" + runner.at.replace(" ", "_"))(world, place, runner, batch):
                if not step.fault or (world.faults and "lost answer" in self._bounds.kinds):
                    yield step._replace(label=f"{who} {step.label}")

    def _is_cut_off(self, world: World, place: int, batch: Batch) -> bool:
        """Whether its readings of the batch, once it has it, fail or say that it is not its own."""
        pod = world.pods[place]
        if not pod.token:
            return True
        return pod.runner is not None and pod.runner.device and not _is_mine(batch, place)

    # Taking the batch

    def _boot(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        if _is_mine(batch, place):
            yield Step("reads that it owns the batch", self._owned(world, place, runner))
        elif batch.there and batch.owner == NONE and not batch.over:
            now = with_runner(world, place, runner._replace(at="own", version=batch.version))
            yield Step("reads that nobody owns the batch", now)
        else:
            yield Step("finds nothing to do and exits", without_runner(world, place))

    def _own(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        again = runner._replace(at="boot", version=NONE)
        if not batch.there or (self._rules.one_owner and runner.version != FRESH):
            yield Step("is refused the batch", with_runner(world, place, again))
            return
        taken = with_batch(world, place // PODS, batch._replace(owner=place, phase=INSTALLING))
        yield Step("takes the batch", self._owned(taken, place, runner))
        yield Step("takes the batch, its answer is lost", with_runner(taken, place, again), fault=True)

    def _owned(self, world: World, place: int, runner: Runner) -> World:
        return self._turned(world, place, runner._replace(version=NONE, device=True))

    # Running tests

    def _turned(self, world: World, place: int, runner: Runner) -> World:
        """The runner looks at its claims, and turns to the next one if there is one."""
        batch = world.batches[place // PODS]
        assert batch is not None, "a batch with a process is not forgotten"
        if not runner.stop:
            for number, (job, attempt) in enumerate(batch.entries):
                if not runner.handled >> number & 1 and _is_open(world.jobs[job], place, attempt):
                    return with_runner(world, place, runner._replace(at="start", entry=number, outcome=""))
        return with_runner(world, place, runner._replace(at="next", entry=0, outcome=""))

    def _next(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        turned = self._turned(world, place, runner)
        if turned != world:
            yield Step("turns to the next job", turned)
        # An entry that is not claimed yet is waited for; here that is just not taking this step yet.
        else:
            yield from self._close(world, place, runner, batch)

    def _start(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        job, attempt = batch.entries[runner.entry]
        live = world.jobs[job]
        believed = Job(live.version, lifecycle.SCHEDULED, place // PODS, NONE, attempt, live.failures)
        look = runner._replace(at="start look")
        unsure = look if self._rules.look_after_lost_answer else _handled(runner)._replace(at="running")
        if self._rules.tested_patches and not decisions.holds_for(live, believed):
            yield Step(f"is refused to start job {job}", with_runner(world, place, look))
        else:
            written = with_job(world, job, decisions.started(believed, place))
            yield Step(
                f"starts job {job}", with_runner(written, place, _handled(runner)._replace(at="running"))
            )
            yield Step(
                f"starts job {job}, the answer is lost", with_runner(written, place, unsure), fault=True
            )
        lost = with_runner(world, place, unsure)
        yield Step(f"tries to start job {job}, the request is lost", lost, fault=True)

    def _start_look(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        job, attempt = batch.entries[runner.entry]
        if _is_running(world.jobs[job], place, attempt):
            now = with_runner(world, place, _handled(runner)._replace(at="running"))
            yield Step(f"sees that job {job} is started", now)
        elif _is_ready(world.jobs[job], place, attempt):
            now = with_runner(world, place, runner._replace(at="start"))
            yield Step(f"sees that job {job} is not started", now)
        else:
            now = self._turned(world, place, _handled(runner))
            yield Step(f"sees that job {job} is not its own", now)

    def _running(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        return iter(())

    def _test_ends(self, world: World, place: int, runner: Runner) -> Iterator[Step]:
        outcomes = ("infrastructure",) if runner.stop else self._bounds.outcomes
        for outcome in outcomes:
            now = with_runner(world, place, runner._replace(at="report", outcome=outcome))
            yield Step(f"runner {place}'s test ends: {outcome}", now)

    def _report(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        job, attempt = batch.entries[runner.entry]
        live = world.jobs[job]
        believed = Job(live.version, lifecycle.RUNNING, place // PODS, place, attempt, live.failures)
        look = runner._replace(at="report look")
        if self._rules.tested_patches and not decisions.holds_for(live, believed):
            yield Step(f"is refused to report on job {job}", with_runner(world, place, look))
        else:
            if not _is_running(live, place, attempt):
                raise ProtocolViolation(
                    f"runner {place} writes the outcome of attempt {attempt} over attempt {live.attempt}"
                )
            written = with_job(
                world, job, decisions.finished(believed, runner.outcome, self._bounds.max_retries)
            )
            yield Step(f"reports job {job} as {runner.outcome}", self._turned(written, place, runner))
            yield Step(
                f"reports on job {job}, the answer is lost", with_runner(written, place, look), fault=True
            )
        lost = with_runner(world, place, look)
        yield Step(f"tries to report on job {job}, the request is lost", lost, fault=True)

    def _report_look(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        job, attempt = batch.entries[runner.entry]
        if _is_running(world.jobs[job], place, attempt):
            now = with_runner(world, place, runner._replace(at="report"))
            yield Step(f"sees that job {job} has no outcome", now)
        else:
            now = self._turned(world, place, runner)
            yield Step(f"sees that nothing is left to report on job {job}", now)

    # Closing the batch

    def _close(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        if _is_mine(batch, place):
            now = self._settled(world, place, runner._replace(version=batch.version), batch)
            yield Step("has nothing to run and reads its batch", now)
        else:
            yield Step("sees that its batch is not its own any more and exits", without_runner(world, place))

    def _settled(self, world: World, place: int, runner: Runner, batch: Batch) -> World:
        """Whether something is left to settle; else the driver is closed, before the batch reads as over."""
        for number, (job, attempt) in enumerate(batch.entries):
            if not runner.handled >> number & 1 and _is_open(world.jobs[job], place, attempt):
                return with_runner(world, place, runner._replace(at="settle", entry=number))
        return with_runner(world, place, runner._replace(at="end", entry=0, device=False))

    def _settle(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        job, attempt = batch.entries[runner.entry]
        live = world.jobs[job]
        if not _is_open(live, place, attempt):
            yield Step(f"leaves job {job} alone", self._settled(world, place, _handled(runner), batch))
            return
        ready = _is_ready(live, place, attempt)
        after = (
            decisions.given_back(live)
            if ready
            else decisions.finished(live, "infrastructure", self._bounds.max_retries)
        )
        written = with_job(world, job, after)
        verb = "gives back" if ready else "charges"
        yield Step(f"{verb} job {job}", self._settled(written, place, _handled(runner), batch))
        yield Step(f"{verb} job {job}, the answer is lost", with_runner(written, place, runner), fault=True)

    def _end(self, world: World, place: int, runner: Runner, batch: Batch) -> Iterator[Step]:
        again = runner._replace(at="close", version=NONE)
        if not batch.there or runner.version != FRESH:
            yield Step("is refused to close the batch", with_runner(world, place, again))
            return
        closed = with_batch(world, place // PODS, batch._replace(phase=COMPLETED))
        yield Step("closes the batch and exits", without_runner(closed, place))
        yield Step("closes the batch, the answer is lost", with_runner(closed, place, again), fault=True)


def _is_open(job: Job, place: int, attempt: int) -> bool:
    return _is_ready(job, place, attempt) or _is_running(job, place, attempt)


def _is_mine(batch: Batch, place: int) -> bool:
    return batch.there and batch.owner == place and not batch.over


def _is_ready(job: Job, place: int, attempt: int) -> bool:
    return job.phase == lifecycle.SCHEDULED and job.batch == place // PODS and job.attempt == attempt


def _is_running(job: Job, place: int, attempt: int) -> bool:
    return job.phase == lifecycle.RUNNING and job.pod == place and job.attempt == attempt


def _handled(runner: Runner) -> Runner:
    return runner._replace(handled=runner.handled | 1 << runner.entry)
