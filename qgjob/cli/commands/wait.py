"""`qgjob wait`, and the waiting of `qgjob submit --wait`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from qgjob.cli import views, waiting
from qgjob.cli.exits import Exit
from qgjob.cli.session import Session, new_app, paint, warn, with_session

if TYPE_CHECKING:
    from qgjob.cli.verdict import Waited
    from qgjob.cli.waiting import Waiting

app = new_app()

#: More changes at once than this are told as one line of counts.
_MOST_LINES = 10


@app.command()
@with_session
def wait(
    session: Session,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs to wait for.")],
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="The longest wait; 180 unless given.", show_default=False
        ),
    ] = 180.0,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End at the first job that ends without passing.")
    ] = False,
) -> None:
    """Wait until jobs are over; the exit code says how they went.

    0: all passed. 1: a test failed for good, or has failed and its retry was not over in time. 2: what was submitted
    can't be run (no such app version or test file, a source that can't be loaded), an unknown job, or a wrong option.
    4: infrastructure failed for good, or has failed and its retry was not over in time, or the cluster does not answer.
    5: a job was cancelled or deleted. 3: time is over. Where several apply, the first of 1, 2, 4, 5, 3 wins. The last
    line on stderr says which test and why.
    """
    names = list(dict.fromkeys(job_ids))
    jobs = waiting.find(session.client, names, None)
    wait_and_report(
        session,
        waiting.Waiting.for_names(names, fail_fast=fail_fast),
        selector=waiting.selector_for(jobs),
        namespace=None,
        timeout=timeout,
    )


def wait_and_report(
    session: Session, those: Waiting, *, selector: str, namespace: str | None, timeout: float
) -> None:
    """Wait, print how each job stands, end with the verdict's line and exit with its code."""

    def progress(changed: list[Waited]) -> None:
        if len(changed) > _MOST_LINES:
            session.note(waiting.counts_line(list(those.jobs.values())))
            return
        for one in changed:
            session.note(waiting.progress_line(one, session.now()))

    def trouble(text: str) -> None:
        session.note(f"{text} Trying again.")

    try:
        verdict = waiting.wait(
            session.client,
            those,
            selector=selector,
            namespace=namespace,
            timeout=timeout,
            progress=progress,
            trouble=trouble,
        )
    except KeyboardInterrupt:
        warn(f"no longer waiting; the jobs go on in the cluster: qgjob wait {' '.join(those.jobs)}")
        sys.exit(Exit.INTERRUPTED)
    _report(session, list(those.jobs.values()))
    word, rest = verdict.line.split(":", 1)
    line = f"{paint(word, 'green' if verdict.code is Exit.PASSED else 'red')}:{rest}"
    if verdict.code is Exit.PASSED:
        session.note(line)
    else:
        warn(line)
    sys.exit(verdict.code)


def _report(session: Session, those: list[Waited]) -> None:
    now = session.now()
    rows = []
    for one in those:
        view = (
            views.full(one.job, now) if one.job else {"job_id": one.name, "status": "unknown", "details": ""}
        )
        if one.deleted:
            view |= {"status": "deleted", "details": "Deleted before it was over"}
        rows.append(view)

    def table() -> None:
        from qgjob.cli import tables

        tables.print_table(
            ("JOB", "STATUS", "TEST", "DETAILS"),
            [(row["job_id"], row["status"], row.get("test"), views.one_line(row["details"])) for row in rows],
            flexible="DETAILS",
        )

    session.emit(rows[0] if len(rows) == 1 else rows, table)
