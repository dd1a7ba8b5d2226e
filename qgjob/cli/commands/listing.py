"""`qgjob list`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qgjob.cli import filters, selectors, views
from qgjob.cli.session import Session, new_app, with_session

if TYPE_CHECKING:
    from collections.abc import Sequence

app = new_app()


class Status(StrEnum):
    """The CLI's status words."""

    QUEUED = "queued"
    RUNNING = "running"
    QUEUED_FOR_RETRY = "queued_for_retry"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@app.command("list")
@with_session
def list_jobs(
    session: Session,
    *,
    status: Annotated[list[Status] | None, typer.Option(help="Only these; repeatable.")] = None,
    org_id: filters.OrgId = None,
    app_version_id: filters.AppVersionId = None,
    target: filters.Target = None,
    limit: filters.Limit = 50,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="In every namespace.")
    ] = False,
) -> None:
    """List jobs.

    The newest first.
    """
    terms = [
        *selectors.by_status(word.value for word in status or []),
        *selectors.by_spec(orgId=org_id, appVersionId=app_version_id, target=target),
    ]
    jobs, total = filters.newest(session, ",".join(terms), limit, all_namespaces=all_namespaces)
    show(session, jobs, namespaces=all_namespaces)
    if total > len(jobs):
        session.note(f"the newest {len(jobs)} of {total}; --limit and the filters show others")


def show(session: Session, jobs: Sequence[dict[str, Any]], *, namespaces: bool = False) -> None:
    """Print jobs, one a line; JSON is an array."""
    now = session.now()

    def table() -> None:
        from qgjob.cli import tables

        head = ("NAMESPACE",) if namespaces else ()
        tables.print_table(
            (*head, "JOB", "STATUS", "PRI", "APP", "TARGET", "TEST", "AGE", "DETAILS"),
            [
                (
                    *([job["metadata"]["namespace"]] if namespaces else []),
                    views.name(job),
                    views.status_word(job),
                    job["spec"].get("priority"),
                    job["spec"]["appVersionId"],
                    job["spec"]["target"],
                    job["spec"]["test"],
                    views.age(job, now),
                    views.one_line(views.details(job, now)),
                )
                for job in jobs
            ],
            flexible="DETAILS",
        )

    session.emit([views.summary(job, now) for job in jobs], table)
