"""Reading a test's part of its pod's log, while it is written or afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_JOBS

from . import views
from .exits import CliError
from .loglines import Part
from .session import warn

if TYPE_CHECKING:
    from .session import Session

Object = dict[str, Any]

CONTAINER: Final = "runner"
_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt that has a pod, or had one."""

    attempt: int
    pod: str
    running: bool


def choose(job: Object, attempt: int | None) -> Run | None:
    """The attempt of that number, else the newest that ran; None where none has run (yet).

    Raises:
        CliError: the number is none of an attempt that the status still holds.
    """
    runs = {
        entry["number"]: Run(entry["number"], entry.get("pod", ""), running=False)
        for entry in views.field(job, "attempts")
    }
    newest = views.field(job, "attempt")
    if views.phase(job) == lifecycle.RUNNING:
        runs[newest] = Run(newest, views.field(job, "pod"), running=True)
    if attempt is None:
        return runs[max(runs)] if runs else None
    if attempt not in runs and (attempt <= newest or views.is_over(job)):
        known = ", ".join(str(number) for number in sorted(runs)) or "none"
        raise CliError(f"job {views.name(job)} has no attempt {attempt} that ran (it has: {known})")
    return runs.get(attempt)


def copy(session: Session, job: Object, run: Run, *, follow: bool = False) -> None:
    """Write the attempt's lines to stdout; with `follow` until it is over.

    Raises:
        CliError: the pod is gone or has not started.
    """
    from qgjob.client import ApiError, Unreachable

    if not run.pod:
        raise CliError(f"attempt {run.attempt} had no pod, so there is no log. {_known(job)}")
    printed = 0
    last = not (follow and run.running)
    while True:
        part = Part(views.name(job), run.attempt)
        seen = 0
        try:
            lines = session.client.pod_log(run.pod, container=CONTAINER, follow=not last)
            for line in lines:
                text = part.feed(line)
                if part.ended:
                    return
                if text is not None:
                    seen += 1
                    if seen > printed:  # what a stream that broke had printed already
                        typer.echo(text)
                        printed = seen
        except ApiError as error:
            if error.is_not_found:
                raise CliError(
                    f"the pod {run.pod} of attempt {run.attempt} is gone, and its log with it. {_known(job)}"
                ) from error
            if error.status != 400:
                raise
            if last:
                raise CliError(f"the pod {run.pod} has no log yet: {error.message}") from error
        except Unreachable as error:
            if last:
                raise
            session.note(f"{error} Trying again.")
        if last:
            break
        # The stream ended before the test's part did: it broke, or the test's end is written by now.
        if _goes_on(session, job, run):
            time.sleep(_PAUSE_SECONDS)
        else:
            last = True
    if not part.begun:
        raise CliError(
            f"the log of pod {run.pod} holds nothing of attempt {run.attempt} (any more). {_known(job)}"
        )


def follow(session: Session, job: Object, attempt: int | None) -> None:
    """Write the log of the newest attempt (or of that one) and of the next ones, until the job is over."""
    from qgjob.client import Changed, Listed
    from qgjob.client import follow as follow_objects

    name = views.name(job)
    read: set[int] = set()
    said = ""
    for event in follow_objects(session.client, TEST_JOBS, field_selector=f"metadata.name={name}"):
        match event:
            case Listed([]) | Changed(_, True):
                session.note(f"job {name} was deleted")
                return
            case Listed([now]) | Changed(now):
                run = choose(now, attempt)
            case _:
                continue
        if run is not None and run.attempt not in read:
            read.add(run.attempt)
            session.note(f"attempt {run.attempt}, pod {run.pod}")
            try:
                copy(session, now, run, follow=True)
            except CliError as error:
                warn(str(error))
            if run.running:
                continue  # what came of it is in the next event
        if views.is_over(now) or attempt in read:
            session.note(f"{views.status_word(now)}: {views.one_line(views.details(now, session.now()))}")
            return
        text = views.one_line(views.details(now, session.now()))
        if text != said and views.phase(now) != lifecycle.RUNNING:
            session.note(text)
            said = text


def _goes_on(session: Session, job: Object, run: Run) -> bool:
    from qgjob.client import ApiError, Unreachable

    try:
        now = session.client.get(TEST_JOBS, views.name(job))
    except Unreachable:
        return True
    except ApiError as error:
        return not error.is_not_found
    return views.phase(now) == lifecycle.RUNNING and views.field(now, "attempt") == run.attempt


def _known(job: Object) -> str:
    message = views.field(job, "message")
    return f"What its status says: {views.status_word(job)}{f', {message}' if message else ''}"
