"""`qgjob logs`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from qgjob.cli import reading, waiting
from qgjob.cli.exits import CliError, Exit
from qgjob.cli.session import Session, new_app, warn, with_session

app = new_app()


@app.command()
@with_session
def logs(
    session: Session,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for the test to start, and go on until it ends.")
    ] = False,
    retries: Annotated[
        bool, typer.Option("--retries", help="Follow the job through its retries, until it is over.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(help="The attempt, as `qgjob status` numbers them; else the newest.")
    ] = None,
) -> None:
    """Print a test's part of its pod's log.

    When the pod is gone, the log that was stored with the test's artifacts is printed. The exit code says whether
    there was a log, not how the test went: that is for `qgjob wait`.
    """
    if retries and attempt is not None:
        raise CliError("--retries follows all attempts, and --attempt names one: give either")
    (job,) = waiting.find(session.client, [job_id], None)
    try:
        if follow or retries:
            reading.follow(session, job, attempt, retries=retries)
            return
        run = reading.choose(job, attempt)
        if run is None:
            raise reading.no_log(session, job)
        reading.copy(session, job, run)
    except KeyboardInterrupt:
        warn("no longer following; the job goes on in the cluster")
        sys.exit(Exit.INTERRUPTED)
