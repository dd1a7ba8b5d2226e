"""What must hold: in each state, over each step, and from each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgjob.api import lifecycle

from .state import NONE, PODS

if TYPE_CHECKING:
    from .rules import Bounds
    from .state import World


def broken_in(world: World, bounds: Bounds) -> str:
    """What is wrong with a state; empty where nothing is."""
    running: dict[int, int] = {}
    with_device = []
    for place, pod in enumerate(world.pods):
        runner = pod.runner
        if runner is None:
            continue
        if runner.device:
            with_device.append(place)
        if runner.device and runner.stop and world.faults == bounds.faults:
            return f"runner {place} is stopped, though nothing went wrong"
        if runner.at == "running":
            batch = world.batches[place // PODS]
            assert batch is not None, "a batch with a process is not forgotten"
            job, _ = batch.entries[runner.entry]
            if job in running:
                return f"runners {running[job]} and {place} both run job {job}"
            running[job] = place
    return f"runners {with_device} have the one device" if bounds.device and len(with_device) > 1 else ""


def broken_by(before: World, after: World) -> str:
    """What is wrong with a step; empty where nothing is."""
    for number, (old, new) in enumerate(zip(before.jobs, after.jobs, strict=True)):
        if new.attempt < old.attempt:
            return f"job {number}'s attempts went from {old.attempt} to {new.attempt}"
        if old.phase in lifecycle.FINISHED and new.phase != old.phase:
            return f"job {number} was over ({old.phase}) and was changed ({new.phase})"
    return ""


def is_good_end(world: World) -> bool:
    """Every TestJob has come to an end, and the device is free: what each state must be able to lead to."""
    return world.lease == NONE and all(job.phase in lifecycle.FINISHED for job in world.jobs)
