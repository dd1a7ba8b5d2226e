"""Filters of `list`, `dlq` and `batches` as field selectors, so that the server does the work. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .views import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Fields of a TestJob that the server can select by, beside its phase and batch.
SPEC_FIELDS: Final = ("orgId", "appVersionId", "target")


def by_spec(**fields: str | None) -> list[str]:
    """Terms for spec fields: `by_spec(orgId="acme")`; None leaves a field open."""
    return [f"spec.{key}={escape(value)}" for key, value in fields.items() if value]


def by_status(words: Iterable[str]) -> list[str]:
    """Terms that select the phases behind some of the CLI's status words.

    A field selector knows no 'or'; so several phases are selected by refusing all others.
    """
    wanted = set(words)
    if not wanted:
        return []
    phases = [phase for phase, word in STATUS_WORDS.items() if word in wanted]
    if len(phases) == 1:
        return [f"status.phase={phases[0]}"]
    return [f"status.phase!={phase}" for phase, word in STATUS_WORDS.items() if word not in wanted]


def common(specs: Sequence[Mapping[str, Any]]) -> str:
    """The narrowest selector that matches all of them: by the fields in which they agree."""
    agreed: dict[str, str | None] = {}
    for key in SPEC_FIELDS:
        values = {str(spec[key]) for spec in specs}
        if len(values) == 1:
            agreed[key] = values.pop()
    return ",".join(by_spec(**agreed))


def escape(value: str) -> str:
    """A value for a field selector, where commas, equals signs and backslashes mean something."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
