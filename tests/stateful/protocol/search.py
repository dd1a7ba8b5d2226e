"""The search: breadth first, so that the first violation found is one by the fewest steps."""

from __future__ import annotations

import itertools
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import properties
from .cluster import ClusterSteps
from .operators import OperatorSteps
from .runners import RunnerSteps
from .settling import settled
from .state import World, beginning
from .steps import ProtocolViolation, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rules import Bounds, Rules


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to. `violation` is empty where every state is good; `trace` is the way to the bad one."""

    violation: str
    trace: tuple[str, ...]
    states: int
    seconds: float

    def __str__(self) -> str:
        """For people: the violation and the steps that lead to it, or how much was searched."""
        head = f"{self.states} states in {self.seconds:.1f} s"
        if not self.violation:
            return f"no violation in {head}"
        lines = [f"{self.violation} ({head})"]
        lines += [f"  {number:2}. {label}" for number, label in enumerate(self.trace, 1)]
        return "\n".join(lines)


class Unbounded(Exception):  # noqa: N818
    """More states than the bounds allow."""


class Search:
    """All states that can be reached within the bounds."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._bounds = bounds
        self._rules = rules
        self._runners = RunnerSteps(rules, bounds)
        self._operators = OperatorSteps(rules, bounds)
        self._cluster = ClusterSteps(bounds)
        self._numbers: dict[World, int] = {}
        self._worlds: list[World] = []
        self._came_from = array("l")
        # Edges by steps that are no faults, for the way back from good ends.
        self._heads = array("l")
        self._tails = array("l")

    def run(self) -> Found:
        """Search everything, or until a violation."""
        begun = time.perf_counter()
        violation, trace = self._explore()
        if not violation:
            violation, trace = self._find_dead_ends()
        return Found(violation, trace, len(self._worlds), time.perf_counter() - begun)

    def steps(self, world: World) -> Iterator[Step]:
        """Every step that could be next, the world after it in its one form."""
        for step in self._all(world):
            after = step.world
            if step.fault:
                after = after._replace(faults=after.faults - 1)
            if wrong := properties.broken_by(world, after):
                raise ProtocolViolation(f"{step.label}: {wrong}")
            yield Step(step.label, settled(after, self._rules), step.fault)

    def _all(self, world: World) -> Iterator[Step]:
        yield from self._cluster.of(world)
        for place in range(len(world.pods)):
            yield from self._runners.of(world, place)
        for number, operator in enumerate(world.operators):
            # Two operators that know the same do the same.
            if number == 0 or operator != world.operators[number - 1]:
                yield from self._operators.of(world, number)

    def _explore(self) -> tuple[str, tuple[str, ...]]:
        bounds = self._bounds
        first = beginning(bounds.jobs, bounds.batches, bounds.operators, bounds.faults)
        self._add(first, -1)
        number = 0
        while number < len(self._worlds):
            world = self._worlds[number]
            try:
                for step in self.steps(world):
                    after = step.world
                    known = self._numbers.get(after)
                    if known is None:
                        known = self._add(after, number)
                        if wrong := properties.broken_in(after, bounds):
                            return wrong, (*self._way_to(number), step.label)
                    if not step.fault:
                        self._heads.append(number)
                        self._tails.append(known)
            except ProtocolViolation as violation:
                return str(violation), self._way_to(number)
            if len(self._worlds) > bounds.max_states:
                raise Unbounded(f"more than {bounds.max_states} states")
            number += 1
        return "", ()

    def _add(self, world: World, came_from: int) -> int:
        number = len(self._worlds)
        self._numbers[world] = number
        self._worlds.append(world)
        self._came_from.append(came_from)
        return number

    def _find_dead_ends(self) -> tuple[str, tuple[str, ...]]:
        """A state from which no good end can be reached by steps that are no faults: something is lost there."""
        before: dict[int, list[int]] = {}
        for head, tail in zip(self._heads, self._tails, strict=True):
            before.setdefault(tail, []).append(head)
        queue = [number for number, world in enumerate(self._worlds) if properties.is_good_end(world)]
        good = set(queue)
        while queue:
            for number in before.get(queue.pop(), ()):
                if number not in good:
                    good.add(number)
                    queue.append(number)
        for number, world in enumerate(self._worlds):
            if number not in good:
                phases = ", ".join(job.phase for job in world.jobs)
                held = f", the device leased to batch {world.lease}" if world.lease >= 0 else ""
                return f"stuck: {phases}{held}, and no way to a good end", self._way_to(number)
        return "", ()

    def _way_to(self, number: int) -> tuple[str, ...]:
        """Labels of the steps from the beginning, found again by taking them."""
        chain = [number]
        while self._came_from[chain[-1]] >= 0:
            chain.append(self._came_from[chain[-1]])
        chain.reverse()
        labels = []
        for head, tail in itertools.pairwise(chain):
            wanted = self._worlds[tail]
            labels.append(next(step.label for step in self.steps(self._worlds[head]) if step.world == wanted))
        return tuple(labels)
