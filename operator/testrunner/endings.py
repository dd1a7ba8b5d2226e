"""How a batch ends: what its status says, and what becomes of the TestJobs that it has not run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Rest(Enum):
    """What becomes of claimed TestJobs that were not started."""

    GIVE_BACK = "back to the line at no cost"
    CHARGE = "one infrastructure failure each: the batch never got to a test"
    DEAD_LETTER = "no retry can help"


@dataclass(frozen=True, slots=True)
class Ending:
    """TestBatch.status' last phase, reason (CamelCase) and message."""

    phase: Literal["Completed", "Failed", "Yielded"]
    reason: str
    message: str = ""
    rest: Rest = Rest.GIVE_BACK


class EndBatch(Exception):  # noqa: N818 - not always an error
    """No further test of this batch is started."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"{ending.reason}: {ending.message}")
        self.ending = ending


class Abandoned(Exception):  # noqa: N818
    """The batch isn't this pod's any more: nothing is written to it, and the runner exits."""
