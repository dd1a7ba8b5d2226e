"""What W3C actions of a pointer (a finger) come to: taps. Moving while it is down is a swipe: no screen scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Point = tuple[float, float]


def taps(actions: list[dict[str, Any]], centre: Callable[[str], Point]) -> Iterator[Point]:
    """Where the screen is tapped, in pixels. `centre` knows the middle of an element by its id."""
    for source in actions:
        if source.get("type") != "pointer":
            continue
        at, down = (0.0, 0.0), None
        for action in source["actions"]:
            if action["type"] == "pointerMove":
                at = _moved(at, action, centre)
            elif action["type"] == "pointerDown":
                down = at
            elif action["type"] == "pointerUp":
                if down == at:
                    yield at
                down = None


def _moved(at: Point, action: dict[str, Any], centre: Callable[[str], Point]) -> Point:
    origin = action.get("origin", "viewport")
    x, y = float(action["x"]), float(action["y"])
    if origin == "viewport":
        return x, y
    from_x, from_y = at if origin == "pointer" else centre(next(iter(origin.values())))
    return from_x + x, from_y + y
