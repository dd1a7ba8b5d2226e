"""`qgjob batches`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qgjob.api.constants import TEST_BATCHES
from qgjob.cli import filters, selectors, views
from qgjob.cli.session import Session, new_app, with_session

app = new_app()


@app.command()
@with_session
def batches(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="One batch, with its tests.")] = None,
    target: filters.Target = None,
    app_version_id: filters.AppVersionId = None,
    limit: filters.Limit = 50,
) -> None:
    """List the batches: which tests shared an install.

    The newest first; with a name, that batch and its tests.
    """
    now = session.now()
    if name is not None:
        batch = session.client.get(TEST_BATCHES, name)
        row = {**_view(batch), "tests": _tests(batch)}
        session.emit(row, lambda: _print_one(row))
        return
    selector = ",".join(selectors.by_spec(target=target, appVersionId=app_version_id))
    found = sorted(
        session.client.list(TEST_BATCHES, field_selector=selector),
        key=lambda batch: (batch["metadata"]["creationTimestamp"], batch["metadata"]["name"]),
        reverse=True,
    )
    shown = found[:limit]

    def table() -> None:
        from qgjob.cli import tables

        tables.print_table(
            (
                "BATCH",
                "PHASE",
                "PRI",
                "APP",
                "TARGET",
                "DEVICE",
                "TESTS",
                "PASSED",
                "FAILED",
                "INFRA",
                "INSTALL",
                "AGE",
                "REASON",
            ),
            [
                (
                    *(
                        view.get(key)
                        for key in ("name", "phase", "priority", "app_version_id", "target", "device")
                    ),
                    len(batch["spec"]["jobs"]),
                    *(view.get(key) for key in ("passed", "failed", "infrastructure", "install_seconds")),
                    views.age(batch, now),
                    view.get("reason"),
                )
                for batch, view in ((batch, _view(batch)) for batch in shown)
            ],
        )

    session.emit([_view(batch) for batch in shown], table)
    if len(found) > limit:
        session.note(f"the newest {limit} of {len(found)}; --limit and the filters show others")


def _view(batch: dict[str, Any]) -> dict[str, Any]:
    metadata, spec, status = batch["metadata"], batch["spec"], batch.get("status") or {}
    view = {
        "name": metadata["name"],
        "phase": status.get("phase", "Pending"),
        "priority": spec["priority"],
        "app_version_id": spec["appVersionId"],
        "target": spec["target"],
        "device": (spec.get("device") or {}).get("name"),
        "jobs": [job["name"] for job in spec["jobs"]],
        "passed": status.get("passed", 0),
        "failed": status.get("failed", 0),
        "infrastructure": status.get("infrastructure", 0),
        "given_back": status.get("givenBack", 0),
        "install_seconds": status.get("installSeconds"),
        "pod": status.get("podName") or None,
        "reason": status.get("reason") or None,
        "message": status.get("message") or None,
        "created_at": metadata.get("creationTimestamp"),
        "started_at": status.get("startTime"),
        "finished_at": status.get("finishTime"),
    }
    return {key: value for key, value in view.items() if value is not None}


def _tests(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """Its jobs in running order, with what the batch's status says of those that were run."""
    ran = {test["name"]: test for test in (batch.get("status") or {}).get("tests") or []}
    return [
        {
            "job_id": job["name"],
            "attempt": job["attempt"],
            "outcome": ran.get(job["name"], {}).get("outcome", ""),
            "seconds": ran.get(job["name"], {}).get("seconds"),
        }
        for job in batch["spec"]["jobs"]
    ]


def _print_one(row: dict[str, Any]) -> None:
    from qgjob.cli import tables

    left_out = ("tests", "jobs")
    tables.print_fields(
        {key.replace("_", " ").capitalize(): value for key, value in row.items() if key not in left_out}
    )
    typer.echo()
    tables.print_table(
        ("JOB", "ATTEMPT", "OUTCOME", "SECONDS"),
        [(test["job_id"], test["attempt"], test["outcome"], test["seconds"]) for test in row["tests"]],
    )
