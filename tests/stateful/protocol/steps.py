"""What a step is: who does what, and the world after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .state import World


class Step(NamedTuple):
    """One step that could be next. `fault`: it costs one of the faults that are left."""

    label: str
    world: World
    fault: bool = False


class ProtocolViolation(Exception):  # noqa: N818 - it is what the search looks for, not an error
    """A step did what no step may do."""
