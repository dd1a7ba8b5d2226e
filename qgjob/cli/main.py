"""The program: which commands there are, and how an error ends it."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from qgjob import __version__

from .exits import CliError, Exit
from .session import Context, Kubeconfig, Namespace, Options, OutputOption, Quiet, new_app, warn


class Entry(NamedTuple):
    """A command: its module in `commands`, and its help in short."""

    module: str
    help: str


#: A module is imported when its command is used, so that each command pays only for itself.
COMMANDS: Final[dict[str, Entry]] = {
    "submit": Entry("submit", "Put tests into the queue."),
    "status": Entry("status", "Show how jobs stand, attempt by attempt."),
    "list": Entry("listing", "List jobs."),
    "wait": Entry("wait", "Wait until jobs are over; the exit code says how they went."),
    "logs": Entry("logs", "Print a test's part of its pod's log."),
    "artifacts": Entry("artifacts", "List or download what a test left: reports, screenshots, videos, logs."),
    "report": Entry("report", "Merge the results of jobs into one JUnit XML file."),
    "cancel": Entry("cancel", "Cancel jobs, waiting or running."),
    "dlq": Entry("dlq", "List, show and replay jobs that failed for good (dead letters)."),
    "targets": Entry("targets", "List the pools of devices; take devices out of use."),
    "batches": Entry("batches", "List the batches: which tests shared an install."),
    "version": Entry("version", "Show the versions of qgjob here and in the cluster."),
}


class Commands(TyperGroup):
    """A group that makes a command from its module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command of that name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = importlib.import_module(f"qgjob.cli.commands.{COMMANDS[cmd_name].module}")
            command = get_command(module.app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does it; a name that is not there is answered with near ones, so it needs all of them."""
        if args and args[0] not in COMMANDS:
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The help's list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


app = new_app(
    cls=Commands,
    add_completion=True,
    epilog="Exit codes: 0 passed, 1 a test failed, 2 usage, 3 timeout, 4 infrastructure, 5 cancelled.",
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"qgjob {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    *,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    output: OutputOption = None,
    quiet: Quiet = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print this program's version."
        ),
    ] = False,
) -> None:
    """Queue mobile tests in Kubernetes: submit them, wait for them, see why one failed."""
    ctx.obj = Options(kubeconfig, context, namespace, output, quiet)


def run() -> None:
    """The entry point of `qgjob` and `kubectl-qgjob`."""
    try:
        app()
    except CliError as error:
        _end(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the exit code must not be a failed test's
        from qgjob.client import ClientError

        if not isinstance(error, ClientError):
            # Python's own exit code for it is 1, by which scripts know a test that failed.
            import traceback

            traceback.print_exc()
            _end(CliError("this is a mistake in qgjob itself: please report it", Exit.INFRASTRUCTURE))
        from .failures import explain

        _end(explain(error))


def _end(error: CliError) -> NoReturn:
    warn(str(error))
    sys.exit(error.code)
