"""Whether two submissions of one job id are the same, and where they differ. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# What people do to a TestJob after it was submitted.
_NOT_CONTENT: Final = frozenset({"cancel", "replays"})


def differing(existing: Mapping[str, Any], submitted: Mapping[str, Any]) -> list[str]:
    """'priority: 5 there, 9 here' for every field that differs; both specs with the server's defaults."""
    keys = sorted((existing.keys() | submitted.keys()) - _NOT_CONTENT)
    return [
        f"{key}: {_say(existing.get(key))} there, {_say(submitted.get(key))} here"
        for key in keys
        if _normal(existing.get(key)) != _normal(submitted.get(key))
    ]


def _normal(value: Any) -> Any:
    """An empty list and no list say the same."""
    return None if value in ([], {}) else value


def _say(value: Any) -> str:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, list) and all(isinstance(entry, dict) and "name" in entry for entry in value):
        return ",".join(f"{entry['name']}={entry.get('value', '')}" for entry in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_say(part)}" for key, part in sorted(value.items()))
    return str(value)
