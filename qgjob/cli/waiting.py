"""Waiting until TestJobs are over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qgjob.api.constants import TEST_JOBS

from . import selectors, views
from .exits import CliError, Exit
from .verdict import Verdict, Waited, classify, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from qgjob.client import Client
    from qgjob.client.follow import Event

Object = dict[str, Any]


@dataclass
class Waiting:
    """What is known of the TestJobs that are waited for. Fed with the events of `follow`."""

    jobs: dict[str, Waited]
    fail_fast: bool = False
    trouble: str = field(default="")

    @classmethod
    def for_names(cls, names: Iterable[str], *, fail_fast: bool = False) -> Waiting:
        """Wait for TestJobs of those names, in that order."""
        return cls({name: Waited(name, None) for name in names}, fail_fast=fail_fast)

    def take(self, event: Event) -> list[Waited]:
        """Learn what the event says. Returns the TestJobs that read otherwise than before."""
        from qgjob.client import Changed, Listed

        match event:
            case Listed(objects):
                self.trouble = ""
                present = {views.name(job): job for job in objects if views.name(job) in self.jobs}
                gone = [
                    Waited(name, one.job, deleted=True)
                    for name, one in self.jobs.items()
                    if name not in present
                ]
                return self._update([*(Waited(name, job) for name, job in present.items()), *gone])
            case Changed(job, deleted):
                self.trouble = ""
                return self._update([Waited(views.name(job), job, deleted)])
            case _:
                self.trouble = str(event.error)
                return []

    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        if self.fail_fast and any(_ended_badly(one) for one in self.jobs.values()):
            return True
        return all(_is_over(one) for one in self.jobs.values())

    def _update(self, seen: list[Waited]) -> list[Waited]:
        changed = []
        for one in seen:
            before = self.jobs.get(one.name)
            if before is None or (before.job and views.is_over(before.job) and one.deleted):
                continue  # not ours; or over, and cleaned up since
            self.jobs[one.name] = one
            if _reads(before) != _reads(one):
                changed.append(one)
        return changed


def wait(
    client: Client,
    waiting: Waiting,
    *,
    selector: str,
    namespace: str | None,
    timeout: float,
    progress: Callable[[list[Waited]], None],
    trouble: Callable[[str], None],
) -> Verdict:
    """Follow them until all are over, or for `timeout` seconds. Raises ClientError on a refusal."""
    from qgjob.client import follow

    deadline = time.monotonic() + timeout
    for event in follow(client, TEST_JOBS, field_selector=selector, namespace=namespace, deadline=deadline):
        before = waiting.trouble
        if changed := waiting.take(event):
            progress(changed)
        if waiting.trouble and not before:
            trouble(waiting.trouble)
        if waiting.over():
            break
    return judge(list(waiting.jobs.values()), timeout=timeout, unreachable=waiting.trouble)


def find(client: Client, names: Sequence[str], namespace: str | None) -> list[Object]:
    """The TestJobs of those names. Raises CliError that names all that don't exist."""
    from qgjob.client import ApiError

    found, unknown = [], []
    for name in names:
        try:
            found.append(client.get(TEST_JOBS, name, namespace=namespace))
        except ApiError as error:
            if not (error.is_not_found and error.details.get("name")):
                raise
            unknown.append(name)
    if unknown:
        where = namespace or client.namespace
        raise CliError(
            f"no job {', '.join(unknown)} in namespace {where}: `qgjob list` shows what there is, "
            "--namespace chooses another"
        )
    return found


def selector_for(jobs: Sequence[Object]) -> str:
    """The field selector that follows these TestJobs and as few others as can be."""
    if len(jobs) == 1:
        return f"metadata.name={jobs[0]['metadata']['name']}"
    return selectors.common([job["spec"] for job in jobs])


def progress_line(one: Waited, now: datetime) -> str:
    """What to say when a TestJob reads otherwise than before."""
    if one.deleted or one.job is None:
        return f"job {one.name}: deleted"
    return f"{one.job['spec']['test']} (job {one.name}): {views.one_line(views.details(one.job, now), 200)}"


def counts_line(those: Sequence[Waited]) -> str:
    """How many stand where: '120 jobs: 100 queued, 20 running'."""
    counts: dict[str, int] = {}
    for one in those:
        word = "deleted" if one.deleted else views.status_word(one.job) if one.job else "unknown"
        counts[word] = counts.get(word, 0) + 1
    return f"{len(those)} jobs: {', '.join(f'{count} {word}' for word, count in counts.items())}"


def _reads(one: Waited) -> tuple[object, ...]:
    if one.job is None or one.deleted:
        return (one.deleted,)
    job = one.job
    return (
        views.phase(job),
        views.replay_is_due(job),
        views.field(job, "attempt"),
        views.field(job, "message"),
    )


def _is_over(one: Waited) -> bool:
    return one.deleted or (one.job is not None and views.is_over(one.job))


def _ended_badly(one: Waited) -> bool:
    return _is_over(one) and classify(one) is not Exit.PASSED
