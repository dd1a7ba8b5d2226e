"""`qgjob status`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_TARGETS
from qgjob.cli import views, waiting
from qgjob.cli.session import Session, new_app, with_session

if TYPE_CHECKING:
    from collections.abc import Sequence

app = new_app()


@app.command()
@with_session
def status(
    session: Session,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Jobs to show.")],
) -> None:
    """Show how jobs stand, attempt by attempt."""
    show(session, waiting.find(session.client, job_ids, None))


def show(session: Session, jobs: Sequence[dict[str, Any]]) -> None:
    """Print jobs in full: an object for one, an array for several; for people, a paragraph each."""
    now = session.now()
    rows = [views.full(job, now) for job in jobs]
    for row, trouble in zip(rows, _troubles(session, jobs), strict=True):
        if trouble:
            row["details"] += f"; {trouble}"

    def table() -> None:
        for index, row in enumerate(rows):
            if index:
                typer.echo()
            _print(row)

    session.emit(rows[0] if len(rows) == 1 else rows, table)


def _troubles(session: Session, jobs: Sequence[dict[str, Any]]) -> list[str]:
    """For each job that waits for a target that can't take it: why, in the target's own words."""
    from qgjob.client import ClientError

    words = dict[str, str]()
    for target in {job["spec"]["target"] for job in jobs if _waits(job)}:
        with suppress(ClientError):  # it may not exist, or not be ours to read
            ready = views.condition(session.client.get(TEST_TARGETS, target), "Ready")
            if ready.get("status") == "False":
                words[target] = str(ready.get("message") or ready.get("reason") or "")
    return [words.get(job["spec"]["target"], "") if _waits(job) else "" for job in jobs]


def _waits(job: dict[str, Any]) -> bool:
    return views.phase(job) in lifecycle.WAITING


def _print(row: dict[str, Any]) -> None:
    from qgjob.cli import tables

    newest = row["attempts"][-1] if row["attempts"] else {}
    tables.print_fields(
        {
            "Job": row["job_id"],
            "Status": row["status"],
            "Details": row["details"],
            "Test": row["test"],
            "App version": row["app_version_id"],
            "Target": row["target"],
            "Organisation": row["org_id"],
            "Priority": row["priority"],
            "Failures": f"{row['failures']} (of {row['max_retries'] + 1} before it fails for good)",
            "Infrastructure": row["infrastructure_failures"] or "",
            "Created": row.get("created_at"),
            "Finished": row.get("finished_at"),
            "Artifacts": newest.get("artifacts"),
            "Session": newest.get("session"),
            "Video": newest.get("video"),
        }
    )
    if attempts := row["attempts"]:
        typer.echo()
        tables.print_table(
            ("ATTEMPT", "OUTCOME", "STARTED", "SECONDS", "DEVICE", "POD", "MESSAGE"),
            [
                (
                    entry.get("number"),
                    entry.get("outcome"),
                    entry.get("started_at"),
                    _seconds(entry),
                    entry.get("device"),
                    entry.get("pod"),
                    views.one_line(entry.get("message", "")),
                )
                for entry in attempts
            ],
            flexible="MESSAGE",
        )


def _seconds(entry: dict[str, Any]) -> int | None:
    took = lifecycle.seconds_between(entry.get("started_at"), entry.get("finished_at"))
    return None if took is None else round(took)
