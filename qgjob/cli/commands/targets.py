"""`qgjob targets`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qgjob.api.constants import TEST_TARGETS
from qgjob.cli.session import Session, new_app, with_session

app = new_app()


@app.command()
@with_session
def targets(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="One target, with its devices.")] = None,
) -> None:
    """List the pools of devices.

    With a name, that target and its devices.
    """
    if name is None:
        rows = [_view(target) for target in session.client.list(TEST_TARGETS)]
        session.emit(rows, lambda: _print_all(rows))
        if not rows:
            session.note(f"no targets in namespace {session.client.namespace}")
        return
    row = _view(session.client.get(TEST_TARGETS, name))
    session.emit(row, lambda: _print_one(row))


def _view(target: dict[str, Any]) -> dict[str, Any]:
    spec, status = target["spec"], target.get("status") or {}
    ready: dict[str, str] = next(
        (each for each in status.get("conditions") or [] if each["type"] == "Ready"), {}
    )
    return {
        "name": target["metadata"]["name"],
        "driver": (spec.get("driver") or {}).get("name"),
        "provider": next(iter(spec.get("provider") or {"none": {}})),
        "slots": status.get("slots", 0),
        "running": status.get("running", 0),
        "waiting": status.get("waiting", 0),
        "ready": ready.get("status", "Unknown"),
        "reason": ready.get("reason", ""),
        "message": ready.get("message", ""),
        "devices": _devices(spec, status),
    }


def _devices(spec: dict[str, Any], status: dict[str, Any]) -> list[dict[str, Any]]:
    """The devices of the spec, with what the operator says of each."""
    known = {device["name"]: device for device in status.get("devices") or []}
    listed = (spec.get("provider") or {}).get("devices") or []
    return [
        {
            "name": device["name"],
            "address": device["address"],
            "state": known.get(device["name"], {}).get("state", "Unknown"),
            "batch": known.get(device["name"], {}).get("batch", ""),
            "message": known.get(device["name"], {}).get("message", ""),
        }
        for device in listed
    ]


def _print_all(rows: list[dict[str, Any]]) -> None:
    from qgjob.cli import tables

    tables.print_table(
        ("TARGET", "DRIVER", "PROVIDER", "SLOTS", "RUNNING", "WAITING", "READY", "REASON", "MESSAGE"),
        [
            [row[key] for key in ("name", "driver", "provider", "slots", "running", "waiting")]
            + [row[key] for key in ("ready", "reason", "message")]
            for row in rows
        ],
        flexible="MESSAGE",
    )


def _print_one(row: dict[str, Any]) -> None:
    from qgjob.cli import tables

    words = ("name", "driver", "provider", "slots", "running", "waiting", "ready", "reason", "message")
    tables.print_fields({word.capitalize(): row[word] for word in words})
    if row["devices"]:
        typer.echo()
        tables.print_table(
            ("DEVICE", "ADDRESS", "STATE", "BATCH", "MESSAGE"),
            [
                [device[key] for key in ("name", "address", "state", "batch", "message")]
                for device in row["devices"]
            ],
            flexible="MESSAGE",
        )
