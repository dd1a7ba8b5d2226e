"""`qgjob dlq`: the dead letters, which are the TestJobs in phase DeadLettered."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_JOBS
from qgjob.cli import filters, selectors, views, waiting
from qgjob.cli.commands import listing, status
from qgjob.cli.exits import CliError
from qgjob.cli.session import Session, new_app, with_session

app = new_app()

#: A replay that meets another change of the same TestJob reads again and tries so often.
_REPLAY_TRIES = 5


@app.callback()
def dlq() -> None:
    """List, show and replay jobs that failed for good (dead letters)."""


@app.command("list")
@with_session
def list_dead(
    session: Session,
    org_id: filters.OrgId = None,
    app_version_id: filters.AppVersionId = None,
    target: filters.Target = None,
    limit: filters.Limit = 50,
) -> None:
    """List the dead letters, the newest first."""
    jobs, total = filters.newest(session, _selector(org_id, app_version_id, target), limit)
    listing.show(session, jobs)
    if total > len(jobs):
        session.note(f"the newest {len(jobs)} of {total}; --limit and the filters show others")
    elif not jobs:
        session.note("no dead letters")


@app.command()
@with_session
def show(
    session: Session,
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Dead letters to show.")],
) -> None:
    """Show what every attempt of a dead letter came to."""
    jobs = waiting.find(session.client, job_ids, None)
    if others := [job for job in jobs if not _is_dead(job)]:
        raise CliError(_not_dead(session, others[0]))
    status.show(session, jobs)


@app.command()
@with_session
def replay(
    session: Session,
    *,
    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Dead letters to replay.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, or all that the filters leave.")] = False,
    org_id: filters.OrgId = None,
    app_version_id: filters.AppVersionId = None,
    target: filters.Target = None,
) -> None:
    """Put dead letters back into the queue, at its end and with their retries restored."""
    filtered = org_id or app_version_id or target
    if bool(job_ids) == every:
        raise CliError("name the dead letters to replay, or give --all")
    if filtered and not every:
        raise CliError("the filters go with --all")
    if every:
        selector = _selector(org_id, app_version_id, target)
        jobs = list(session.client.list(TEST_JOBS, field_selector=selector))
    else:
        jobs = waiting.find(session.client, job_ids or [], None)
        if others := [job for job in jobs if not _is_dead(job)]:
            raise CliError(_not_dead(session, others[0]) + "; nothing was replayed")
    rows = [_replay(session, job) for job in jobs]

    def table() -> None:
        for row in rows:
            typer.echo(f"{row['job_id']}  {row['details']}")

    session.emit(rows if every or len(rows) != 1 else rows[0], table)
    if not rows:
        session.note("no dead letters to replay")


def _replay(session: Session, job: dict[str, Any]) -> dict[str, str]:
    """Count spec.replays up by one, unless that has been done and the operator has not seen it yet."""
    from qgjob.client import ApiError

    name = views.name(job)
    for attempt in range(_REPLAY_TRIES):
        replays = job["spec"].get("replays", 0)
        if not _is_dead(job) or replays > views.field(job, "observedReplays"):
            return _row(job, "Replayed already")
        patch = {
            "metadata": {"resourceVersion": job["metadata"]["resourceVersion"]},
            "spec": {"replays": replays + 1},
        }
        try:
            return _row(session.client.patch(TEST_JOBS, name, patch, kind="merge"), "Replay requested")
        except ApiError as error:
            if not error.is_conflict or attempt == _REPLAY_TRIES - 1:
                raise
            job = session.client.get(TEST_JOBS, name)
    raise AssertionError("the loop returns or raises")


def _row(job: dict[str, Any], done: str) -> dict[str, str]:
    details = f"{done}: to queue:p{job['spec'].get('priority', 5)} for target {job['spec']['target']}"
    return {"job_id": views.name(job), "status": "queued", "details": details}


def _selector(org_id: str | None, app_version_id: str | None, target: str | None) -> str:
    fields = selectors.by_spec(orgId=org_id, appVersionId=app_version_id, target=target)
    return ",".join([f"status.phase={lifecycle.DEAD_LETTERED}", *fields])


def _is_dead(job: dict[str, Any]) -> bool:
    return views.phase(job) == lifecycle.DEAD_LETTERED


def _not_dead(session: Session, job: dict[str, Any]) -> str:
    now = session.now()
    return (
        f"job {views.name(job)} is no dead letter, it is {views.status_word(job)}: {views.details(job, now)}"
    )
