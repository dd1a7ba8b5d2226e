"""Reading a test's part of its pod's log, while it is written or afterwards, also when the pod is gone."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from qgjob.api import lifecycle
from qgjob.api.artifacts import LOG
from qgjob.api.constants import TEST_JOBS

from . import views
from .exits import CliError
from .loglines import Part
from .session import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .session import Session

Object = dict[str, Any]

CONTAINER: Final = "runner"
_PAUSE_SECONDS: Final = 1.0
_KEEPING: Final = "Logs outlive their pods where the TestTarget keeps artifacts (spec.artifacts)"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt that has a pod, or had one."""

    attempt: int
    pod: str
    running: bool
    #: Its batch may have ended before the test began: then the pod's whole log tells why.
    started: bool = True


#: What a test prints may hold anything: of escape sequences only colours reach the terminal.
_COLOUR: Final = r"\x1b\[[0-9;]*m"
_CONTROL: Final = re.compile(
    rf"({_COLOUR})|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(line: str) -> str:
    """The line without what would move the cursor, change the title, or end the line early."""
    return _CONTROL.sub(lambda found: found[1] or "", line)


def choose(job: Object, attempt: int | None) -> Run | None:
    """The attempt of that number, else the newest that ran; None where none has run (yet).

    Raises:
        CliError: the number is none of an attempt that the status still holds.
    """
    runs = {
        entry["number"]: Run(
            entry["number"], entry.get("pod", ""), running=False, started="startTime" in entry
        )
        for entry in views.field(job, "attempts")
    }
    newest = views.field(job, "attempt")
    if views.phase(job) == lifecycle.RUNNING:
        runs[newest] = Run(newest, views.field(job, "pod"), running=True)
    elif views.phase(job) == lifecycle.CANCELLED and (pod := views.field(job, "pod")):
        # One that was cancelled while it ran came to nothing that could be noted as an attempt.
        runs.setdefault(newest, Run(newest, pod, running=False))
    if attempt is None:
        return runs[max(runs)] if runs else None
    if attempt not in runs and (attempt <= newest or views.is_over(job)):
        known = ", ".join(str(number) for number in sorted(runs)) or "none"
        raise CliError(f"job {views.name(job)} has no attempt {attempt} that ran (it has: {known})")
    return runs.get(attempt)


def copy(session: Session, job: Object, run: Run, *, follow: bool = False) -> None:
    """Write the attempt's lines to stdout; with `follow` until it is over.

    What the pod has no more is read from the artifacts. Raises CliError where they don't have it either.
    """
    lines = _Printed()
    try:
        _copy_from_pod(session, job, run, lines, follow=follow)
    except _NoLogError as gone:
        _copy_stored(session, job, run, lines, str(gone))


class _NoLogError(Exception):
    """The pod's log does not have the attempt's part (any more). The text says why."""


@dataclass(slots=True)
class _Printed:
    """Counts lines, so that one that was printed is not printed again when the log is read anew."""

    printed: int = 0
    seen: int = 0

    def again(self) -> None:
        self.seen = 0

    def line(self, text: str) -> None:
        self.seen += 1
        if self.seen > self.printed:
            typer.echo(printable(text))
            self.printed = self.seen


def _copy_from_pod(session: Session, job: Object, run: Run, lines: _Printed, *, follow: bool) -> None:
    from qgjob.client import ApiError, Unreachable

    if not run.pod:
        raise _NoLogError(f"attempt {run.attempt} had no pod, so there is no log")
    if not run.started:
        warn(f"attempt {run.attempt} ended before its test began: this is all that its batch's pod said")
    last = not (follow and run.running)
    while True:
        part = Part(views.name(job), run.attempt)
        lines.again()
        try:
            for line in session.client.pod_log(run.pod, container=CONTAINER, follow=not last):
                if not run.started:
                    lines.line(line)
                    continue
                text = part.feed(line)
                if part.ended:
                    return
                if text is not None:
                    lines.line(text)
        except ApiError as error:
            if error.is_not_found:
                raise _NoLogError(
                    f"the pod {run.pod} of attempt {run.attempt} is gone, and its log with it"
                ) from error
            if error.status != 400:
                raise
            if last:
                raise CliError(f"the pod {run.pod} has no log yet: {error.message}") from error
        except Unreachable as error:
            if last:
                raise
            session.note(f"{error} Trying again.")
        if not run.started:
            return
        if last:
            break
        # The stream ended before the test's part did: it broke, or the test's end is written by now.
        if _goes_on(session, job, run):
            time.sleep(_PAUSE_SECONDS)
        else:
            last = True
    if not part.begun:
        raise _NoLogError(f"the log of pod {run.pod} holds nothing of attempt {run.attempt} (any more)")


def _copy_stored(session: Session, job: Object, run: Run, lines: _Printed, why: str) -> None:
    """The part of the log that is among the attempt's artifacts. Raises CliError."""
    from qgjob.client import ApiError

    from .artifacts.stored import Stores

    name = views.name(job)
    try:
        # What came of the attempt since, its link among it.
        job = session.client.get(TEST_JOBS, name)
    except ApiError as error:
        if not error.is_not_found:
            raise
    if not any(
        each["number"] == run.attempt and each.get("artifacts") for each in views.field(job, "attempts")
    ):
        raise CliError(f"{why}. {_known(session, job)}\n{_KEEPING}")
    with Stores(session) as stores:
        folder = stores.folder(job, run.attempt)
        if LOG not in {file.name for file in folder.files()}:
            raise CliError(f"{why}, and nothing of it is stored at {folder.link}. {_known(session, job)}")
        warn(f"{why}: this is what was stored of it, {folder.url(LOG)}")
        lines.again()
        for text in _text_lines(folder.read(LOG)):
            lines.line(text)


def _text_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for raw in whole:
            yield raw.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def follow(session: Session, job: Object, attempt: int | None, *, retries: bool = False) -> None:
    """Write the log of one attempt while it runs: that one, else the one that runs now, else the next.

    With `retries` the newest attempt and all that follow it, until the job is over. Raises CliError where the job is
    over already and there is no log to show.
    """
    from qgjob.client import Changed, Listed
    from qgjob.client import follow as follow_objects

    name = views.name(job)
    read = set() if retries or attempt is not None else _left_aside(job)
    was_over = views.is_over(job)
    followed: int | None = None
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
            followed = run.attempt
            session.note(f"attempt {run.attempt}, pod {run.pod}")
            try:
                copy(session, now, run, follow=True)
            except CliError as error:
                if was_over:
                    raise
                warn(str(error))
            if run.running:
                continue  # what came of it is in the next event
        if views.is_over(now) or (followed and not retries and not _still_runs(now, followed)):
            if was_over and followed is None:
                raise no_log(session, now)
            session.note(how_it_stands(session, now))
            if followed and not views.is_over(now):
                session.note(f"`qgjob logs -f --retries {name}` follows its retries, too")
            return
        text = views.one_line(views.details(now, session.now()))
        if text != said and views.phase(now) != lifecycle.RUNNING:
            session.note(text)
            said = text


def _left_aside(job: Object) -> set[int]:
    """Attempts that nobody waits for who follows a job that waits: those that are over."""
    if views.is_over(job) or _still_runs(job):
        return set()
    return {entry["number"] for entry in views.field(job, "attempts")}


def _still_runs(job: Object, attempt: int | None = None) -> bool:
    return views.phase(job) == lifecycle.RUNNING and attempt in (None, views.field(job, "attempt"))


def _goes_on(session: Session, job: Object, run: Run) -> bool:
    from qgjob.client import ApiError, Unreachable

    try:
        now = session.client.get(TEST_JOBS, views.name(job))
    except Unreachable:
        return True
    except ApiError as error:
        return not error.is_not_found
    return views.phase(now) == lifecycle.RUNNING and views.field(now, "attempt") == run.attempt


def _known(session: Session, job: Object) -> str:
    return f"Its status says: {how_it_stands(session, job)}"


def how_it_stands(session: Session, job: Object) -> str:
    """Its status and one sentence on it, without saying the same twice."""
    word, details = views.status_word(job), views.one_line(views.details(job, session.now()))
    return details if details.lower().startswith(word) else f"{word}: {details}"


def no_log(session: Session, job: Object) -> CliError:
    """The error for a job of which no attempt has run."""
    name = views.name(job)
    if views.is_over(job):
        return CliError(
            f"there is no log of job {name}: it ended before it ran ({how_it_stands(session, job)})"
        )
    return CliError(
        f"job {name} has not run yet: {views.details(job, session.now())}\n"
        f"`qgjob logs -f {name}` follows it from its start"
    )
