"""Tables and colours for people. rich is imported here and nowhere else, when something is shown."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

#: Colours of the CLI's status words, and of a batch's phases and an attempt's outcomes.
STYLES: Final[dict[str, str]] = {
    "queued": "blue",
    "running": "cyan",
    "queued_for_retry": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "bright_black",
    "passed": "green",
    "infrastructure": "magenta",
    "Completed": "green",
    "Failed": "red",
    "Running": "cyan",
    "Installing": "cyan",
    "Yielded": "yellow",
    "Pending": "blue",
    "True": "green",
    "False": "red",
    "Free": "green",
    "Busy": "cyan",
}
# Where nobody looks at the width, nothing is wrapped or cut.
_PIPE_WIDTH: Final = 10_000


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, flexible: str = "") -> None:
    """Print rows under their headings. The `flexible` column is cut where the terminal is too narrow."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        is_flexible = column == flexible
        table.add_column(column, no_wrap=True, overflow="ellipsis" if is_flexible else "fold")
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in map(_cell, row)))
    _print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print `name: value` lines, the empty ones left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", []):
            table.add_row(name, Text(_cell(value), style=STYLES.get(_cell(value), "")))
    _print(table)


def _print(table: Table) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(width=_PIPE_WIDTH, highlight=False, file=io.StringIO())
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())  # noqa: T201


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
