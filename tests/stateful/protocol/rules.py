"""The rules that the protocol consists of, and the bounds of a search."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Rules:
    """Each is on in the real protocol. Without any one of them a search finds a violation."""

    #: A claim holds only for the version of the TestJob that the operator saw.
    claim_precondition: bool = True
    #: A runner takes its batch by the version that it read, so that only one pod ever owns it.
    one_owner: bool = True
    #: A runner's patch tests batch, phase, attempt and pod.
    tested_patches: bool = True
    #: After an answer that was lost, a runner looks before it believes that it may run a test.
    look_after_lost_answer: bool = True
    #: A runner that can't read its batch, or whose batch is not its own any more, stops its tests.
    fencing: bool = True
    #: A cache only nominates: what is done about an odd batch is decided from live reads.
    live_look: bool = True
    #: A runner that can't be seen is taken for stopped only after the fence time.
    fence_wait: bool = True
    #: How long one pod was not seen says nothing about another one, or about a batch that did not exist yet.
    absence_of_one: bool = True
    #: So is the one of a batch that does not exist any more, before its device is given to another.
    device_wait: bool = True
    #: A batch is marked as over only in the version that the decision was made from.
    ending_precondition: bool = True
    #: A batch that got no TestJob is deleted only in the version that was seen.
    deletion_precondition: bool = True
    #: A batch whose making was cut short is gone on with.
    resuming: bool = True
    #: Odd batches are looked at and repaired.
    repairing: bool = True


RULES: Final = tuple(field.name for field in fields(Rules))

#: What can go wrong, each costing one of a search's faults. See cluster.py and the actors.
FAULTS: Final = {
    "crash": "an operator dies, or loses the answer to its request; another one or its successor goes on",
    "lost answer": "a runner's request is carried out or not, and it does not learn which",
    "kill": "a runner's process dies",
    "sigterm": "a pod is deleted or evicted, with its grace period",
    "cut off": "a pod's object is deleted by force, or its node is lost: the process lives on without the API",
    "forget": "the object of a pod that has ended is deleted",
    "twin": "a Kubernetes Job makes a second pod",
    "delete batch": "somebody deletes a batch",
    "late": "a batch's start timeout passes",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a search goes."""

    jobs: int = 1
    #: Batches at once; those that nothing refers to any more make room for new ones.
    batches: int = 2
    operators: int = 2
    #: One device that every batch needs; else batches need none and may run side by side.
    device: bool = True
    faults: int = 2
    kinds: frozenset[str] = frozenset(FAULTS)
    #: Whether operators look at batches that are well, too: a very old cache may have nominated them.
    any_look: bool = False
    #: What a test that runs undisturbed may come to.
    outcomes: tuple[str, ...] = ("passed",)
    max_retries: int = 1
    #: A search that finds more states than this gives up.
    max_states: int = 5_000_000
