"""What a finger's W3C actions come to."""

from __future__ import annotations

from typing import Any

import pytest

from hack.phone.gestures import Point, taps

DOWN, UP = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}


def move(x: int, y: int, **origin: Any) -> dict[str, Any]:
    return {"type": "pointerMove", "x": x, "y": y, **origin}


def tapped(*actions: dict[str, Any]) -> list[Point]:
    source = {"type": "pointer", "id": "finger", "actions": list(actions)}
    keys = {"type": "key", "id": "keyboard", "actions": [{"type": "keyDown", "value": "a"}]}
    return list(taps([keys, source], {"login.4": (540.0, 540.0)}.__getitem__))


@pytest.mark.parametrize(
    ("actions", "points"),
    [
        ([move(10, 20), DOWN, {"type": "pause", "duration": 100}, UP], [(10, 20)]),
        ([move(10, 20), DOWN, UP, DOWN, UP], [(10, 20), (10, 20)]),
        ([move(1, -2, origin={"element-6066": "login.4"}), DOWN, UP], [(541, 538)]),
        ([move(10, 20), move(5, 5, origin="pointer"), DOWN, UP], [(15, 25)]),
        ([move(10, 20), DOWN, move(10, 900), UP], []),
        ([move(10, 20)], []),
    ],
    ids=["tap", "twice", "on an element", "from where it is", "swipe", "no touch"],
)
def test_a_finger_taps_where_it_goes_down_and_up(actions: list[dict[str, Any]], points: list[Point]) -> None:
    assert tapped(*actions) == points
