"""The batch's TestJobs as they were seen last: which are this pod's, and which still wait for their claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qgjob.api.constants import TEST_JOBS

from .answers import REQUEST_SECONDS
from .standing import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qgjob.api.testbatch import BatchJob
    from qgjob.client import Client

    from .clock import Clock
    from .reporting import Job, Reporter

# What has an outcome is not read again: a batch of a thousand would be megabytes a look.
_NOT_OVER: Final = ("Succeeded", "Retrying", "DeadLettered", "Cancelled")

_OPEN: Final = frozenset({Standing.READY, Standing.RUNNING})


class Claims:
    """Reads all claims of the batch by one LIST. Used by the main thread alone."""

    def __init__(
        self, client: Client, namespace: str, batch: str, *, reporter: Reporter, clock: Clock
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = ",".join(
            [f"status.batch={batch}", *(f"status.phase!={phase}" for phase in _NOT_OVER)]
        )
        self._reporter = reporter
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._looked_at = float("-inf")
        self._handled: set[tuple[str, str, int]] = set()

    @property
    def age(self) -> float:
        """Seconds since the last look."""
        return self._clock.monotonic() - self._looked_at

    def look(self) -> None:
        """Read them again. Raises ClientError."""
        # A look that fails is not repeated at once either.
        self._looked_at = self._clock.monotonic()
        found = self._client.list(
            TEST_JOBS,
            namespace=self._namespace,
            field_selector=self._selector,
            timeout=REQUEST_SECONDS,
        )
        self._jobs = {job["metadata"]["name"]: job for job in found}

    def job(self, entry: BatchJob) -> Job | None:
        """The entry's TestJob, if the last look showed it as claimed by this batch."""
        return self._jobs.get(entry.name)

    def handled(self, entry: BatchJob) -> None:
        """This entry needs nothing more: it was started, charged, or is somebody else's."""
        self._handled.add(_key(entry))

    def open(self, entries: Sequence[BatchJob]) -> Iterator[tuple[BatchJob, Job]]:
        """Entries that are this pod's and were not handled yet, in order.

        One that reads Running counts: it was started by a patch whose answer was lost, and never run.
        """
        for entry in entries:
            job = self._jobs.get(entry.name)
            if job is None or _key(entry) in self._handled:
                continue
            if self._reporter.standing(job, entry) in _OPEN:
                yield entry, job

    def cancel_asked(self, entries: Sequence[BatchJob]) -> None:
        """End those of the open ones whose spec asks for it, as the last look showed them."""
        for entry, job in list(self.open(entries)):
            if job["spec"].get("cancel"):
                self.handled(entry)
                self._reporter.cancel(entry, job)

    def any_unclaimed(self, entries: Sequence[BatchJob]) -> bool:
        """Whether an entry still waits for its claim; marks those that never get one. Raises ClientError."""
        unclaimed = False
        for entry in entries:
            if _key(entry) in self._handled:
                continue
            where = self._reporter.standing(self._reporter.get(entry.name), entry)
            if where is Standing.UNCLAIMED:
                unclaimed = True
            elif where not in _OPEN:
                self.handled(entry)
        return unclaimed


def _key(entry: BatchJob) -> tuple[str, str, int]:
    # A TestJob may come again in the same batch, by a later attempt.
    return entry.name, entry.uid, entry.attempt
