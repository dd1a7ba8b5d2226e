"""Other batches of the same app version and target: what one of them does for all need not be done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from qgjob.client import ApiError, ClientError

from .answers import REQUEST_SECONDS

if TYPE_CHECKING:
    from qgjob.client import Client

    from .record import BatchRecord

#: More need not be looked at: the oldest goes first.
_MOST: Final = 20


class Siblings:
    """Looks at them with what a runner may read. Safe to use from any thread."""

    def __init__(self, client: Client, record: BatchRecord) -> None:
        self._client = client
        self._record = record

    def first_to_install(self) -> bool:
        """Whether no older batch is about to install the same app version; also where that can't be read."""
        try:
            batches = [batch for name in self._names() if (batch := self._batch(name)) is not None]
        except ClientError:
            return True
        # One that says what it waits for has not begun its install, and may not for long.
        installing = [batch for batch in batches if _is_installing(batch)]
        return not installing or min(map(_age, installing))[1] == self._record.name

    def _names(self) -> list[str]:
        spec = self._record.spec
        selector = f"spec.target={spec.target},spec.appVersionId={spec.app_version_id},status.phase=Scheduled"
        jobs = self._client.list(
            TEST_JOBS, namespace=self._record.namespace, field_selector=selector, timeout=REQUEST_SECONDS
        )
        names = {str((job.get("status") or {}).get("batch") or "") for job in jobs} - {""}
        return sorted(names)[:_MOST]

    def _batch(self, name: str) -> dict[str, Any] | None:
        try:
            return self._client.get(
                TEST_BATCHES, name, namespace=self._record.namespace, timeout=REQUEST_SECONDS
            )
        except ApiError as error:
            if error.is_not_found:
                return None
            raise


def _is_installing(batch: dict[str, Any]) -> bool:
    status = batch.get("status") or {}
    return status.get("phase") in ("Pending", "Installing") and not status.get("message")


def _age(batch: dict[str, Any]) -> tuple[str, str]:
    return batch["metadata"].get("creationTimestamp") or "", batch["metadata"]["name"]
