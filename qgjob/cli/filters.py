"""The filters that several commands have, and reading the newest TestJobs that match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .session import Session

OrgId = Annotated[str | None, typer.Option("--org-id", metavar="ID", help="Only of this organisation.")]
AppVersionId = Annotated[
    str | None, typer.Option("--app-version-id", metavar="ID", help="Only for this app version.")
]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only for this target.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")]


def newest(
    session: Session, selector: str, limit: int, *, all_namespaces: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """The newest TestJobs that match, and how many do. The server knows no order, so all are read."""
    import heapq

    from qgjob.api.constants import TEST_JOBS

    total = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal total
        for job in session.client.list(TEST_JOBS, field_selector=selector, all_namespaces=all_namespaces):
            total += 1
            yield job

    found = heapq.nlargest(limit, counted(), key=_created)
    return found, total


def _created(job: dict[str, Any]) -> tuple[str, str]:
    return (job["metadata"]["creationTimestamp"], job["metadata"]["name"])
