"""What the demo submits, and what must become of each TestJob."""

from __future__ import annotations

from dataclasses import dataclass

TARGET = "phones"
ORGANISATION = "demo"
OLD, NEW = "1.4.0", "1.5.0"


@dataclass(frozen=True)
class Case:
    """One TestJob."""

    test: str
    version: str
    priority: int
    max_retries: int = 2
    outcomes: tuple[str, ...] = ("passed",)  # of its runs, in order
    phase: str = "Succeeded"

    @property
    def label(self) -> str:
        """How people call it."""
        return f"{self.test} on {self.version}"


def case(name: str, version: str, priority: int, **expected: object) -> Case:
    """Return the case of a test of the sample project."""
    return Case(f"tests/{name}.spec.ts", version, priority, **expected)  # type: ignore[arg-type]


FIRST = (
    *(case(name, OLD, 5) for name in ("login", "basket", "checkout", "search", "version")),
    case("flaky", OLD, 4, outcomes=("failed", "passed")),
    *(case(name, NEW, 3) for name in ("login", "basket", "checkout", "search", "version")),
    case("broken", NEW, 6, max_retries=1, outcomes=("failed", "failed"), phase="DeadLettered"),
)
#: Submitted when everything else is in the line already, and first out of it.
URGENT = case("settings", NEW, 10)
ALL = (*FIRST, URGENT)
