"""Tables and colours for people. rich is imported here and nowhere else, when something is shown."""

from __future__ import annotations

import io
import shutil
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
    "Quarantined": "red",
    "Drained": "yellow",
}
# Where nobody looks at the width, nothing is wrapped or cut.
_PIPE_WIDTH: Final = 10_000
_GAP: Final = 2
_LEAST_FLEXIBLE: Final = 20


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, flexible: str = "") -> None:
    """Print rows under their headings.

    The `flexible` column is cut to the room that the others leave; they are never cut, since an id is only good
    in full. A terminal that is too narrow for them breaks the lines.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(cell_len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    if flexible and sys.stdout.isatty():
        index = list(columns).index(flexible)
        others = sum(widths) - widths[index] + _GAP * (len(widths) - 1)
        room = shutil.get_terminal_size().columns - others
        widths[index] = min(widths[index], max(room, _LEAST_FLEXIBLE))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, width=width, no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    _print(table, width=sum(widths) + _GAP * len(widths))


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


def _print(table: Table, width: int | None = None) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        # Without a height rich takes a dumb terminal for 80 columns wide, whatever it is told.
        Console(width=width, height=width and 25, highlight=False).print(table)
        return
    console = Console(width=_PIPE_WIDTH, force_terminal=False, highlight=False, file=io.StringIO())
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())  # noqa: T201


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
