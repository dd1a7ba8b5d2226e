"""Writing TestJobs' statuses: each by a patch that holds only while the TestJob is still this pod's claim.

What the server gave no verdict on is kept and sent again, so a server that is away costs no result.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_JOBS
from qgjob.api.lifecycle import RetryPolicy
from qgjob.client import ApiError, ClientError

from .answers import REQUEST_SECONDS, is_away, pause
from .masking import Masks
from .standing import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from qgjob.api.lifecycle import Changes, Result
    from qgjob.api.testbatch import BatchJob
    from qgjob.client import Client

    from .clock import Clock
    from .identity import Pod
    from .log import Log
    from .readable_paths import ReadablePaths

Job = dict[str, Any]

#: Requests for one status that the server may refuse (each after a fresh look) before it is given up.
MAX_REFUSALS: Final = 4


class Verdict(Enum):
    """What the server said to a status."""

    DONE = "it is written"
    LOST = "the TestJob isn't this pod's any more"
    AWAY = "no verdict: send it again"


@dataclass(slots=True)
class Report:
    """One status to write."""

    entry: BatchJob
    #: The TestJob as it was seen last; None: look first.
    job: Job | None
    #: From these standings it may be written…
    allowed: frozenset[Standing]
    #: …and these mean that it was written already (by an earlier try whose answer was lost).
    reached: frozenset[Standing]
    changes: Callable[[Job], Changes]
    #: Called once, when it is written.
    when_done: Callable[[], None] = lambda: None


class Reporter:
    """Writes statuses in order. Used by the main thread alone."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        batch: str,
        *,
        pod: Pod,
        paths: ReadablePaths,
        clock: Clock,
        log: Log,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._batch = batch
        self._pod = pod
        self._policy = RetryPolicy()
        self._masks = Masks()
        self._paths = paths
        self._clock = clock
        self._log = log
        self._pending: deque[Report] = deque()
        self._tries = 0
        self._next_try = 0.0

    @property
    def pending(self) -> int:
        """Statuses that the server gave no verdict on yet."""
        return len(self._pending)

    def use_policy(self, policy: RetryPolicy) -> None:
        """The target's way to retry, once the target was read."""
        self._policy = policy

    def use_masks(self, masks: Masks) -> None:
        """What no status may hold, once the target was read."""
        self._masks = masks

    def in_words(self, message: str) -> str:
        """A message as statuses may hold it: without secrets, and without the paths of this pod."""
        return self._masks.message(self._paths.text(message))

    def standing(self, job: Job | None, entry: BatchJob) -> Standing:
        """Where a TestJob stands, seen from this pod."""
        return standing(job, entry, batch=self._batch, pod=self._pod.name)

    def get(self, name: str) -> Job | None:
        """The TestJob as it is now; None where there is none. Raises ClientError."""
        try:
            return self._client.get(TEST_JOBS, name, namespace=self._namespace, timeout=REQUEST_SECONDS)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise

    def start(
        self, entry: BatchJob, job: Job, give_up: Callable[[float], bool], *, revision: str = ""
    ) -> Job | None:
        """Write that the test runs here now; returns the TestJob as it then is, None if it may not run.

        `revision` is the commit of its git source.

        Without a verdict nothing is run. `give_up(seconds)` waits, and says whether to stop asking.
        """
        report = Report(
            entry,
            job,
            allowed=frozenset({Standing.READY}),
            reached=frozenset({Standing.RUNNING}),
            changes=lambda seen: lifecycle.start(
                _status(seen), self._pod.name, self._clock.now(), revision=revision
            ),
        )
        tries = 0
        while (verdict := self._try(report)) is Verdict.AWAY:
            tries += 1
            if give_up(pause(tries)):
                return None
        return report.job if verdict is Verdict.DONE else None

    def outcome(self, entry: BatchJob, job: Job, result: Result, when_done: Callable[[], None]) -> None:
        """Write what a running test came to."""
        self._settle(entry, job, {Standing.RUNNING}, self._finish(result), when_done)

    def charge(self, entry: BatchJob, job: Job, result: Result, when_done: Callable[[], None]) -> None:
        """Write what a claimed TestJob came to that was never started."""
        self._settle(
            entry, job, {Standing.READY}, self._finish(replace(result, pod=self._pod.name)), when_done
        )

    def cancel(self, entry: BatchJob, job: Job) -> None:
        """Write that it was cancelled, started or not."""
        now = self._clock.now()
        allowed = {Standing.READY, Standing.RUNNING}
        self._settle(entry, job, allowed, lambda seen: lifecycle.cancel(_status(seen), now))

    def give_back(self, entry: BatchJob, job: Job, when_done: Callable[[], None]) -> None:
        """Return a claimed TestJob that was not started to the line."""
        self._settle(entry, job, {Standing.READY}, lambda seen: lifecycle.give_back(_status(seen)), when_done)

    def flush(self, *, now: bool = False) -> None:
        """Send what is pending, if its time has come (or at once), until the server is away again."""
        if not self._pending or (not now and self._clock.monotonic() < self._next_try):
            return
        while self._pending:
            report = self._pending[0]
            verdict = self._try(report)
            if verdict is Verdict.AWAY:
                self._tries += 1
                self._next_try = self._clock.monotonic() + pause(self._tries)
                return
            self._tries = 0
            self._pending.popleft()
            if verdict is Verdict.DONE:
                report.when_done()

    def _finish(self, result: Result) -> Callable[[Job], Changes]:
        now, policy = self._clock.now(), self._policy
        result = replace(result, message=self.in_words(result.message))

        def changes(job: Job) -> Changes:
            max_retries = job["spec"].get("maxRetries", 3)
            return lifecycle.finish(_status(job), result, policy, max_retries, now)

        return changes

    def _settle(
        self,
        entry: BatchJob,
        job: Job,
        allowed: set[Standing],
        changes: Callable[[Job], Changes],
        when_done: Callable[[], None] = lambda: None,
    ) -> None:
        reached = frozenset({Standing.OVER})
        self._pending.append(Report(entry, job, frozenset(allowed), reached, changes, when_done))
        # One report before this one still waits for the server: then this one waits for its turn.
        if len(self._pending) == 1:
            self.flush(now=True)

    def _try(self, report: Report) -> Verdict:
        """Send, look after a failed or lost answer, and send again, until there is a verdict."""
        name = report.entry.name
        for _ in range(MAX_REFUSALS):
            try:
                if report.job is None:
                    report.job = self.get(name)
                where = self.standing(report.job, report.entry)
                if where in report.reached:
                    return Verdict.DONE
                if where not in report.allowed or report.job is None:
                    self._log.line(f"TestJob {name}: {where.value}; left alone")
                    return Verdict.LOST
                patch = lifecycle.json_patch(_status(report.job), report.changes(report.job))
                report.job = self._client.patch(
                    TEST_JOBS,
                    name,
                    patch,
                    kind="json",
                    subresource="status",
                    namespace=self._namespace,
                    timeout=REQUEST_SECONDS,
                )
            except ClientError as error:
                report.job = None
                if is_away(error):
                    self._log.line(f"TestJob {name}: {error}")
                    return Verdict.AWAY
                refusal = str(error)
            else:
                return Verdict.DONE
        self._log.line(f"TestJob {name}: its status can't be written: {refusal}")
        return Verdict.LOST


def _status(job: Job) -> dict[str, Any]:
    return job.get("status") or {}
