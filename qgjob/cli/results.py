"""A TestJob's attempts as a JUnit suite: from the reports that are stored, else from its status."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle
from qgjob.cli import views
from qgjob.cli.exits import CliError
from qgjob.cli.failures import explain

from .junit import Case, Failure, NotJUnit, Run, Suite, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qgjob.cli.artifacts.stored import Stores
    from qgjob.cli.session import Session

Object = dict[str, Any]

#: Larger files are not read: a JUnit report of that size is none.
MAX_REPORT_BYTES: Final = 50_000_000


class Results:
    """Builds suites. Where a store can't be read, it says so once, and goes by the statuses."""

    def __init__(self, session: Session, stores: Stores | None) -> None:
        self._session = session
        self._stores = stores
        self._unreadable: set[str] = set()

    def suite(self, job: Object) -> Suite:
        """A TestJob's suite: what has run since it was replayed last, if it was. What was before that was mended."""
        attempts = views.attempts_since_replay(job)
        last = attempts[-1] if attempts else {}
        phase = views.phase(job)
        skipped, failure = None, None
        if phase == lifecycle.CANCELLED:
            skipped = "cancelled"
        elif phase == lifecycle.DEAD_LETTERED and not views.replay_is_due(job):
            message = f"{views.field(job, 'reason')}: {views.field(job, 'message')}"
            kind = "infrastructure" if views.can_not_be_run(job) else last.get("outcome", "infrastructure")
            failure = Failure(_kind(kind), message)
        elif phase != lifecycle.SUCCEEDED and not attempts:
            skipped = f"not run: {views.details(job, self._session.now())}"
        runs = [self._run(job, entry) for entry in attempts]
        if runs and views.can_not_be_run(job):
            # It came to no result: for JUnit that is an error, and no failure of the test.
            runs[-1] = replace(runs[-1], failure=failure)
        return Suite(
            job["spec"]["test"],
            runs,
            skipped=skipped,
            failure=failure,
            timestamp=str(last.get("startTime", "")).rstrip("Z"),
            hostname=last.get("device", ""),
            properties=_about(job, last),
        )

    def _run(self, job: Object, entry: Mapping[str, Any]) -> Run:
        failure = None
        if entry["outcome"] != "passed":
            failure = Failure(_kind(entry["outcome"]), entry.get("message", ""), entry["outcome"])
        return Run(failure, _seconds(entry), self._cases(job, entry))

    def _cases(self, job: Object, entry: Mapping[str, Any]) -> list[Case]:
        target = job["spec"]["target"]
        if self._stores is None or not entry.get("artifacts") or target in self._unreadable:
            return []
        from qgjob.client import ClientError

        cases: list[Case] = []
        try:
            folder = self._stores.folder(job, entry["number"])
            for file in folder.files():
                if not file.name.endswith(".xml") or file.size > MAX_REPORT_BYTES:
                    continue
                try:
                    cases += read(b"".join(folder.read(file.name)))
                except NotJUnit:
                    continue  # A framework writes other XML, too.
        except (CliError, ClientError) as error:
            self._unreadable.add(target)
            why = error if isinstance(error, CliError) else explain(error)
            self._session.note(
                f"target {target}: going by statuses alone, since stored reports can't be read: {why}"
            )
            return []
        return cases


def _kind(outcome: str) -> Any:
    return "failure" if outcome == "failed" else "error"


def _seconds(entry: Mapping[str, Any]) -> float:
    return lifecycle.seconds_between(entry.get("startTime"), entry.get("finishTime")) or 0.0


def _about(job: Object, last: Mapping[str, Any]) -> dict[str, str]:
    spec = job["spec"]
    found = {
        "qgjob.job": views.name(job),
        "qgjob.status": views.status_word(job),
        "qgjob.target": spec["target"],
        "qgjob.appVersionId": spec["appVersionId"],
        "qgjob.attempts": str(len(views.attempts_since_replay(job))),
        "qgjob.artifacts": last.get("artifacts", ""),
        "qgjob.session": last.get("session", ""),
        "qgjob.video": last.get("video", ""),
    }
    return {key: value for key, value in found.items() if value}
