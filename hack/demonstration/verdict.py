"""Whether the demo came out as it should, and its figures. Pure: API objects and the phones' counts in, words out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hack.demonstration.plan import Case

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Object = Mapping[str, Any]
Jobs = Mapping[Case, Object]

_NEVER = ("9999", 0)  # later than any timestamp


@dataclass(frozen=True)
class Figures:
    """What a run came to. Installs and overlaps are the phones' own counts."""

    tests: int
    runs: int
    batches: int
    installs: int
    install_seconds: float  # of one install, on average
    seconds_saved: float  # that an install for each run would have cost on top
    overtaken: int
    overlaps: int


def figures(
    jobs: Jobs, batches: Sequence[Object], *, installs: int, overlaps: int, overtaken: int
) -> Figures:
    """Count."""
    seconds = [(batch["status"].get("installSeconds") or 0.0, batch["status"]["total"]) for batch in batches]
    return Figures(
        tests=len(jobs),
        runs=sum(len(job["status"].get("attempts", ())) for job in jobs.values()),
        batches=len(batches),
        installs=installs,
        install_seconds=sum(install for install, _ in seconds) / max(len(seconds), 1),
        seconds_saved=sum(install * (runs - 1) for install, runs in seconds),
        overtaken=overtaken,
        overlaps=overlaps,
    )


def what_is_wrong(
    jobs: Jobs,
    batches: Sequence[Object],
    *,
    urgent: Case,
    waiting: Sequence[Case],
    installs: int,
    overlaps: int,
) -> list[str]:
    """Return a sentence for each thing that is not as it must be. `waiting` waited when the urgent one came."""
    wrong = []
    for case, job in jobs.items():
        status = job["status"]
        outcomes = tuple(attempt["outcome"] for attempt in status.get("attempts", ()))
        if (status["phase"], outcomes) != (case.phase, case.outcomes):
            wrong.append(
                f"{case.label} should be {case.phase} after {', '.join(case.outcomes)}; "
                f"it is {status['phase']} after {', '.join(outcomes) or 'no run'}: {status.get('message', '')}"
            )
    if not waiting:
        wrong.append(f"nothing waited any more when {urgent.label} came, so it overtook nobody")
    order = order_of_taking(batches)
    wrong += [
        f"{urgent.label} (priority {urgent.priority}) should have been taken before {case.label}, which waited"
        for case in waiting
        if order.get(_name(jobs[case]), _NEVER) < order.get(_name(jobs[urgent]), _NEVER)
    ]
    if installs != len(batches):
        wrong.append(f"{len(batches)} batches are {len(batches)} installs, but the phones counted {installs}")
    if installs >= len(jobs):
        wrong.append(f"{installs} installs for {len(jobs)} tests save nothing")
    if overlaps:
        wrong.append(f"two tests used one phone at once, {overlaps} times")
    return wrong


def order_of_taking(batches: Iterable[Object]) -> dict[str, tuple[str, int]]:
    """Return when each TestJob, by name, was taken first: its batch's creation, then its place in the batch."""
    taken: dict[str, tuple[str, int]] = {}
    for batch in sorted(batches, key=lambda each: str(each["metadata"]["creationTimestamp"])):
        for place, entry in enumerate(batch["spec"]["jobs"]):
            taken.setdefault(entry["name"], (batch["metadata"]["creationTimestamp"], place))
    return taken


def _name(job: Object) -> str:
    return str(job["metadata"]["name"])
