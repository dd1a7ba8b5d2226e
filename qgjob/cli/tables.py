"""Tables and colours for people. rich is imported here and nowhere else, when something is shown."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _PIPE_WIDTH, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        is_flexible = column == flexible
        table.add_column(column, no_wrap=True, overflow="ellipsis" if is_flexible else "fold")
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in map(_cell, row)))
    console.print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print `name: value` lines, the empty ones left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", []):
            table.add_row(name, Text(_cell(value), style=STYLES.get(_cell(value), "")))
    console.print(table)


def paint(text: str, style: str) -> str:
    """The text in a colour (an SGR number) where stdout is a terminal that wants colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{style}m{text}\033[0m"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
