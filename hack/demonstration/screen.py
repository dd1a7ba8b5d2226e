"""What the demo shows: a table that changes in place on a terminal, else a line for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from hack.demonstration.plan import Case
    from hack.demonstration.verdict import Figures

    Object = Mapping[str, Any]

STYLES = {
    "Running": "bold cyan",
    "Scheduled": "cyan",
    "Retrying": "yellow",
    "Succeeded": "green",
    "DeadLettered": "red",
}
MARKS = {"passed": "passed", "failed": "FAILED", "infrastructure": "infrastructure"}
LEAST_WIDTH = 100


class Screen:
    """Use it as a context manager while things change."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, soft_wrap=True, width=LEAST_WIDTH)
        self._cases = cases
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._told: dict[Case, str] = {}

    def __enter__(self) -> Self:
        """Begin to change in place, where that can be."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what was said last."""
        if self.console.is_terminal:
            self._live.stop()

    def say(self, text: str = "") -> None:
        """Write a line that stays."""
        self.console.print(Text(text))

    def show(self, jobs: Mapping[Case, Object], batches: Sequence[Object]) -> None:
        """Show how everything stands."""
        if self.console.is_terminal:
            counts = Text(_counts(jobs, batches), style="bold")
            self._live.update(Group(jobs_table(self._cases, jobs, batches), counts), refresh=True)
            return
        for each in self._cases:
            text = _line(jobs.get(each, {}).get("status", {}))
            if text and self._told.get(each) != text:
                self._told[each] = text
                self.say(f"  {each.label:32} {text}")

    def conclude(self, jobs: Mapping[Case, Object], batches: Sequence[Object], found: Figures) -> None:
        """Show the last table and the figures."""
        self.say()
        self.console.print(jobs_table(self._cases, jobs, batches))
        self.say()
        for name, value in (
            ("tests", f"{found.tests}, in {found.runs} runs"),
            ("batches", str(found.batches)),
            ("installs", f"{found.installs}, counted by the phones (one per batch)"),
            (
                "install time saved",
                f"{found.seconds_saved:.1f} s, at {found.install_seconds:.1f} s for each install that was not needed",
            ),
            ("overtaken", f"{found.overtaken} tests that waited, by the one of priority 10 that came last"),
            ("two tests at once", f"{found.overlaps} times on any phone"),
        ):
            self.say(f"  {name:20}{value}")


def jobs_table(cases: Sequence[Case], jobs: Mapping[Case, Object], batches: Sequence[Object]) -> Table:
    """Return a row for each TestJob."""
    devices = {each["metadata"]["name"]: each["spec"].get("device", {}).get("name", "") for each in batches}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("TEST", "APP", "PRIORITY", "PHASE", "RUNS", "BATCH", "PHONE"):
        table.add_column(title, no_wrap=True)
    for each in cases:
        status = jobs.get(each, {}).get("status", {})
        phase, batch = status.get("phase", ""), status.get("batch", "")
        runs = ", ".join(MARKS[attempt["outcome"]] for attempt in status.get("attempts", ()))
        table.add_row(
            each.test,
            each.version,
            str(each.priority),
            Text(phase, style=STYLES.get(phase, "")),
            runs,
            batch,
            devices.get(batch, ""),
        )
    return table


def _counts(jobs: Mapping[Case, Object], batches: Sequence[Object]) -> str:
    phases = [job["status"]["phase"] for job in jobs.values()]
    over = sum(phase in ("Succeeded", "DeadLettered", "Cancelled") for phase in phases)
    return f"{over} of {len(phases)} over, {phases.count('Running')} running, {len(batches)} batches so far"


def _line(status: Mapping[str, Any]) -> str:
    phase = status.get("phase", "")
    if phase == "Running":
        return f"Running in {status['batch']}"
    if phase == "Retrying":
        return f"Retrying after: {_first_line(status.get('message', ''))}"
    if phase == "DeadLettered":
        return f"DeadLettered ({status.get('reason', '')}): {_first_line(status.get('message', ''))}"
    return str(phase)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
