"""Counting what became of a batch's TestJobs, for its status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qgjob.api.lifecycle import OutcomeName


@dataclass(slots=True)
class Tally:
    """Counts only what was written to the TestJobs: who reads the batch finds the same there."""

    passed: int = 0
    failed: int = 0
    infrastructure: int = 0
    given_back: int = 0
    tests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """TestJobs that were run or charged."""
        return self.passed + self.failed + self.infrastructure

    def ran(self, name: str, test: str, outcome: OutcomeName, seconds: float) -> None:
        """A test was run; its path and seconds (wall clock) serve to estimate the next run."""
        self.charged(outcome)
        self.tests.append({"name": name, "test": test, "outcome": outcome, "seconds": round(seconds, 3)})

    def charged(self, outcome: OutcomeName) -> None:
        """A TestJob got an outcome without having run."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def gave_back(self) -> None:
        """A TestJob went back to the line."""
        self.given_back += 1

    def status(self) -> dict[str, Any]:
        """The fields of TestBatch.status."""
        return {
            "total": self.total,
            "passed": self.passed,
            "failed": self.failed,
            "infrastructure": self.infrastructure,
            "givenBack": self.given_back,
            "tests": self.tests,
        }
