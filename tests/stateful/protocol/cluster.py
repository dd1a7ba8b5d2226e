"""What Kubernetes does by itself, and what goes wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .state import (
    DELETING,
    ENDED,
    LIVE,
    NONE,
    OVERDUE,
    PODS,
    REMOVED,
    Pod,
    Runner,
    with_batch,
    with_pod,
    without_runner,
)
from .steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rules import Bounds
    from .state import Batch, World


class ClusterSteps:
    """The steps of the Job controller, the kubelets and the people around."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def of(self, world: World) -> Iterator[Step]:
        """All of them."""
        for place, batch in enumerate(world.batches):
            if batch is not None:
                yield from self._job_controller(world, place, batch)
                yield from self._start_timeout(world, place, batch)
        for place, pod in enumerate(world.pods):
            yield from self._kubelet(world, place, pod)
        if world.faults:
            for step, kind in self._faults(world):
                if kind in self._bounds.kinds:
                    yield step._replace(fault=True)

    def _job_controller(self, world: World, place: int, batch: Batch) -> Iterator[Step]:
        if batch.kube_job == "active" and not batch.pods_made:
            yield Step(f"pod {place * PODS} is made", _with_new_pod(world, place, batch))

    def _start_timeout(self, world: World, place: int, batch: Batch) -> Iterator[Step]:
        """It passes in any case where no runner can take the batch; where one still may, that is a fault."""
        if not batch.there or batch.owner != NONE or batch.over or batch.late:
            return
        own = world.pods[place * PODS : place * PODS + PODS]
        hopeless = batch.pods_made > 0 and not any(pod.runner and pod.token for pod in own)
        if hopeless or (world.faults and "late" in self._bounds.kinds):
            late = with_batch(world, place, batch._replace(late=True), written=False)
            yield Step(f"batch {place}'s start timeout passes", late, fault=not hopeless)

    def _kubelet(self, world: World, place: int, pod: Pod) -> Iterator[Step]:
        if pod.runner is None:
            return
        if pod.object == DELETING:
            yield Step(f"pod {place}'s grace period ends", without_runner(world, place))
        if pod.object in (OVERDUE, REMOVED) and pod.token:
            # Some time after the object is gone; until then the API server takes the token.
            yield Step(f"pod {place}'s token ends", with_pod(world, place, pod._replace(token=False)))

    def _faults(self, world: World) -> Iterator[tuple[Step, str]]:
        for place, batch in enumerate(world.batches):
            if batch is None or not batch.there:
                continue
            yield (
                Step(f"batch {place} is deleted", with_batch(world, place, batch._replace(there=False))),
                "delete batch",
            )
            if batch.kube_job == "active" and batch.pods_made == 1:
                yield (
                    Step(f"pod {place * PODS + 1} is made, a twin", _with_new_pod(world, place, batch)),
                    "twin",
                )
        for place, pod in enumerate(world.pods):
            if pod.object == ENDED:
                yield (
                    Step(
                        f"pod {place}'s object is deleted",
                        with_pod(world, place, pod._replace(object=REMOVED)),
                    ),
                    "forget",
                )
            if pod.runner is None or pod.object not in (LIVE, DELETING):
                continue
            yield Step(f"runner {place} dies", without_runner(world, place)), "kill"
            for what in (REMOVED, OVERDUE):
                cut = with_pod(world, place, pod._replace(object=what))
                yield Step(f"pod {place} is cut off ({what})", cut), "cut off"
            if pod.object == LIVE:
                asked = with_pod(world, place, Pod(DELETING, pod.token, pod.runner._replace(stop=True)))
                yield Step(f"runner {place} is asked to stop", asked), "sigterm"


def _with_new_pod(world: World, place: int, batch: Batch) -> World:
    number = place * PODS + batch.pods_made
    runner = Runner("boot", 0, NONE, 0, stop=False, device=False, outcome="")
    world = with_batch(world, place, batch._replace(pods_made=batch.pods_made + 1), written=False)
    return with_pod(world, number, Pod(LIVE, True, runner))
