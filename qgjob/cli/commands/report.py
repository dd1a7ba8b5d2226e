"""`qgjob report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qgjob.cli import waiting
from qgjob.cli.exits import CliError
from qgjob.cli.session import Session, new_app, with_session

app = new_app()


@app.command()
@with_session
def report(
    session: Session,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs to report.")],
    junit: Annotated[str, typer.Option("--junit", metavar="FILE", help="Where to write it; - is stdout.")],
    no_artifacts: Annotated[
        bool, typer.Option("--no-artifacts", help="Go by statuses alone: one case a job.")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(help="For artifacts on a volume: the runner's image, where the target names none."),
    ] = None,
) -> None:
    """Merge the results of jobs into one JUnit XML file.

    The cases are those of the reports that are stored as artifacts; where there are none that can be read, a job is one
    case. Retries are told as Surefire does: flakyFailure, rerunFailure. The exit code says whether it was written, not
    how the tests went: that is for `qgjob wait`.
    """
    from qgjob.cli.artifacts.stored import Stores
    from qgjob.cli.junit import document
    from qgjob.cli.results import Results

    jobs = waiting.find(session.client, list(dict.fromkeys(job_ids)), None)
    with Stores(session, image) as stores:
        results = Results(session, None if no_artifacts else stores)
        content, counts = document([results.suite(job) for job in jobs])
    if junit == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(Path(junit), content)
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    session.note(f"{len(jobs)} jobs: {said}")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise CliError(f"{path} can't be written: {error.strerror or error}") from error
