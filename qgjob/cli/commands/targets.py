"""`qgjob targets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_TARGETS
from qgjob.api.gitops import is_gitops
from qgjob.cli import views
from qgjob.cli.exits import CliError
from qgjob.cli.session import (
    Context,
    Kubeconfig,
    Namespace,
    Options,
    OutputOption,
    Quiet,
    Session,
    new_app,
    warn,
    with_session,
)

if TYPE_CHECKING:
    from datetime import datetime

#: A change of a device that meets another change of its target reads again and tries so often.
_TRIES: Final = 5


class _TargetsOrCommand(TyperGroup):
    """What is no command is a target's name: `qgjob targets phones` is `qgjob targets show phones`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does it, but for names."""
        known = not args or args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["show", *args])


app = new_app(
    cls=_TargetsOrCommand,
    no_args_is_help=False,
    invoke_without_command=True,
    subcommand_metavar="[NAME | COMMAND [ARGS]...]",
)


@app.callback()
def targets(
    ctx: typer.Context,
    *,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    output: OutputOption = None,
    quiet: Quiet = False,
) -> None:
    """List the pools of devices; take devices out of use.

    With a NAME, that target and its devices. A target that is called like one of the commands below is shown by
    `qgjob targets show NAME`.
    """
    own = Options(kubeconfig, context, namespace, output, quiet)
    ctx.obj = own.over(ctx.obj if isinstance(ctx.obj, Options) else Options())
    if ctx.invoked_subcommand is None:
        _list(Session(ctx.obj))


@app.command()
@with_session
def show(session: Session, name: Annotated[str, typer.Argument(metavar="NAME", help="A target.")]) -> None:
    """Show one target and its devices."""
    row = _view(session.client.get(TEST_TARGETS, name))
    session.emit(row, lambda: _print_one(row, session.now()))


TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="The target that has the device.")]
DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="The device's name.")]


@app.command()
@with_session
def drain(session: Session, target: TargetArgument, device: DeviceArgument) -> None:
    """Take a device out of use by hand.

    It finishes its batch, and gets no other.
    """
    _set_drained(session, target, device, drained=True)


@app.command()
@with_session
def undrain(session: Session, target: TargetArgument, device: DeviceArgument) -> None:
    """Put a drained device back into use.

    What it had failed before is forgotten, a quarantine included.
    """
    _set_drained(session, target, device, drained=False)


def _set_drained(session: Session, target: str, device: str, *, drained: bool) -> None:
    live = _patch_device(session, target, device, drained=drained)
    row = next(each for each in _devices(live["spec"], live.get("status") or {}) if each["name"] == device)
    row = {"target": target, **row, "details": _details(target, row)}
    session.emit(row, lambda: typer.echo(row["details"]))
    if is_gitops(live["metadata"]):
        warn(
            f"TestTarget {target} seems to be managed by Argo CD or Flux: the next sync undoes this, "
            f"unless git says `drained: {str(drained).lower()}` for {device} as well"
        )


def _patch_device(session: Session, target: str, device: str, *, drained: bool) -> dict[str, Any]:
    """Change one device of a spec, wherever in the list it stands by then; returns the target.

    Raises CliError where there is no such device, ClientError.
    """
    from qgjob.client import ApiError

    for attempt in range(_TRIES):
        live = session.client.get(TEST_TARGETS, target)
        index = _index(live, device)
        path = f"/spec/provider/devices/{index}"
        if live["spec"]["provider"]["devices"][index].get("drained", False) == drained:
            return live
        patch = [
            {"op": "test", "path": f"{path}/name", "value": device},
            {"op": "add", "path": f"{path}/drained", "value": drained},
        ]
        try:
            return session.client.patch(TEST_TARGETS, target, patch, kind="json")
        except ApiError as error:
            moved = error.is_conflict or error.is_invalid
            if not moved or attempt == _TRIES - 1:
                raise
    raise AssertionError("the loop returns or raises")


def _index(target: dict[str, Any], device: str) -> int:
    name, provider = target["metadata"]["name"], target["spec"].get("provider") or {}
    devices = [each["name"] for each in provider.get("devices") or []]
    if not devices:
        kind = next(iter(provider), "none")
        raise CliError(f"target {name} has no list of devices (its provider is {kind}): nothing to drain")
    if device not in devices:
        raise CliError(f"target {name} has no device {device}; it has {', '.join(devices)}")
    return devices.index(device)


def _details(target: str, device: dict[str, Any]) -> str:
    if not device["drained"]:
        return f"{device['name']} of {target} takes batches again"
    after = f" once {device['batch']} is over" if device["batch"] else ""
    return f"{device['name']} of {target} takes no new batch: free for work by hand{after}"


def _list(session: Session) -> None:
    rows = [_view(target) for target in session.client.list(TEST_TARGETS)]
    session.emit(rows, lambda: _print_all(rows))
    if not rows:
        session.note(f"no targets in namespace {session.client.namespace}")


def _view(target: dict[str, Any]) -> dict[str, Any]:
    spec, status = target["spec"], target.get("status") or {}
    ready = views.condition(target, "Ready")
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
    """The devices of the spec, then those that were removed while busy, with what the operator says of each."""
    known = {device["name"]: device for device in status.get("devices") or []}
    listed = {device["name"]: device for device in (spec.get("provider") or {}).get("devices") or []}
    removed = {name: device for name, device in known.items() if name not in listed and device.get("batch")}
    return [_device(device, known.get(name, {})) for name, device in {**listed, **removed}.items()]


def _device(device: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": device["name"],
        "address": device.get("address", ""),
        "drained": device.get("drained", False),
        "state": known.get("state", "Unknown"),
        "batch": known.get("batch", ""),
        "failures": known.get("failures", 0),
        "until": known.get("until"),
        "reason": known.get("reason", ""),
        "message": known.get("message", ""),
    }


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


def _print_one(row: dict[str, Any], now: datetime) -> None:
    from qgjob.cli import tables

    words = ("name", "driver", "provider", "slots", "running", "waiting", "ready", "reason", "message")
    tables.print_fields({word.capitalize(): row[word] for word in words})
    if row["devices"]:
        typer.echo()
        tables.print_table(
            ("DEVICE", "ADDRESS", "STATE", "UNTIL", "BATCH", "FAILURES", "REASON", "MESSAGE"),
            [
                (
                    *(device["name"], device["address"], device["state"], _until(device, now)),
                    *(device["batch"], device["failures"] or "", device["reason"]),
                    views.one_line(device["message"]),
                )
                for device in row["devices"]
            ],
            flexible="MESSAGE",
        )


def _until(device: dict[str, Any], now: datetime) -> str:
    """How long a quarantine lasts still."""
    until = lifecycle.parse_time(device["until"])
    if device["state"] != "Quarantined" or until is None:
        return ""
    left = (until - now).total_seconds()
    return f"for {views.duration(left)}" if left > 0 else "until a test needs it"
