"""What every command shares: the options for the cluster and the output, the client, and how to print."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Concatenate

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from qgjob.client import Client


class Output(StrEnum):
    """Formats of what goes to stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Kubeconfig = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig to use [env: KUBECONFIG]."),
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="The kubeconfig's context to use.")
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="The namespace [env: QGJOB_NAMESPACE; else the context's]."
    ),
]
OutputOption = Annotated[
    Output | None,
    typer.Option("--output", "-o", help="table on a terminal and json in a pipe, unless given."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr.")]


@dataclass
class Options:
    """The shared options; each can stand before the command as well as after it."""

    kubeconfig: Kubeconfig = None
    context: Context = None
    namespace: Namespace = None
    output: OutputOption = None
    quiet: Quiet = False

    def over(self, base: Options) -> Options:
        """These, and those of `base` where these say nothing."""
        return Options(
            **{each.name: getattr(self, each.name) or getattr(base, each.name) for each in fields(Options)}
        )


@dataclass
class Session:
    """One run of a command."""

    options: Options
    _client: Client | None = field(default=None, repr=False)

    @property
    def client(self) -> Client:
        """The client, made when it is first needed. Raises ConfigError."""
        if self._client is None:
            from qgjob.client import Client

            self._client = Client.load(
                self.options.kubeconfig,
                self.options.context,
                self.options.namespace or os.environ.get("QGJOB_NAMESPACE"),
            )
        return self._client

    @property
    def output(self) -> Output:
        """The format asked for, else the one that suits the reader."""
        return self.options.output or (Output.TABLE if sys.stdout.isatty() else Output.JSON)

    def emit(self, value: Any, table: Callable[[], None]) -> None:
        """Write the result to stdout: the value as JSON or YAML, or whatever `table` prints."""
        if self.output is Output.TABLE:
            table()
        elif self.output is Output.YAML:
            print_yaml([value])
        else:
            typer.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Tell the person something beside the result: progress, a hint. Not with --quiet."""
        if not self.options.quiet:
            warn(text)

    def now(self) -> datetime:
        """The time, for ages and waits."""
        from datetime import UTC, datetime

        return datetime.now(UTC)


def warn(text: str) -> None:
    """Write to stderr, in --quiet as well."""
    typer.echo(f"qgjob: {text}", err=True)


def paint(text: str, colour: str) -> str:
    """The text in a colour, for `typer.echo`, which takes it out again where the reader is no terminal."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=colour)


def print_yaml(documents: list[Any]) -> None:
    """Write YAML documents to stdout."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump_all(documents, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1000)
    typer.echo(text, nl=False)


def new_app(**settings: Any) -> typer.Typer:
    """A typer application as all of them are here: plain help, which costs no import of rich."""
    return typer.Typer(
        **{
            "rich_markup_mode": None,
            "pretty_exceptions_enable": False,
            "add_completion": False,
            "no_args_is_help": True,
            "context_settings": {"help_option_names": ["-h", "--help"]},
            **settings,
        }
    )


def with_session(function: Callable[Concatenate[Session, ...], None]) -> Callable[..., None]:
    """Make a function a command: it gets a Session first, and its command the shared options last."""

    @functools.wraps(function)
    def command(ctx: typer.Context, **given: Any) -> None:
        own = Options(**{name: given.pop(name) for name in _SHARED})
        base = ctx.obj if isinstance(ctx.obj, Options) else Options()
        function(Session(own.over(base)), **given)

    # typer reads the signature to learn a command's parameters.
    _, *parameters = inspect.signature(function, eval_str=True).parameters.values()
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    merged = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*parameters, *_SHARED.values())]
    signature = inspect.Signature([context, *merged])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return command


_SHARED = dict(inspect.signature(Options, eval_str=True).parameters)
