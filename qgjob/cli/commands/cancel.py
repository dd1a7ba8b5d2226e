"""`qgjob cancel`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qgjob.api.constants import TEST_JOBS
from qgjob.cli import views, waiting
from qgjob.cli.session import Session, new_app, with_session

app = new_app()


@app.command()
@with_session
def cancel(
    session: Session,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs to cancel.")],
) -> None:
    """Cancel jobs, waiting or running.

    One that waits ends at once, one that runs within seconds. What is over stays as it is, and says so.
    """
    rows = [_cancel(session, job) for job in waiting.find(session.client, job_ids, None)]

    def table() -> None:
        for row in rows:
            typer.echo(f"{row['job_id']}  {row['details']}")

    session.emit(rows[0] if len(rows) == 1 else rows, table)


def _cancel(session: Session, job: dict[str, Any]) -> dict[str, str]:
    if views.is_over(job):
        details = f"Over already, nothing to cancel: {views.details(job, session.now())}"
    else:
        job = session.client.patch(TEST_JOBS, views.name(job), {"spec": {"cancel": True}}, kind="merge")
        details = "Cancellation requested"
    return {"job_id": views.name(job), "status": views.status_word(job), "details": details}
