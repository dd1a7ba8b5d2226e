"""How a TestJob reads: its status in the CLI's words, and the JSON that scripts get. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle

if TYPE_CHECKING:
    from datetime import datetime

Object = Mapping[str, Any]

#: The CLI's status words; a phase says more than most readers need.
STATUS_WORDS: Final[dict[str, str]] = {
    lifecycle.PENDING: "queued",
    lifecycle.SCHEDULED: "queued",
    lifecycle.RUNNING: "running",
    lifecycle.RETRYING: "queued_for_retry",
    lifecycle.SUCCEEDED: "completed",
    lifecycle.DEAD_LETTERED: "failed",
    lifecycle.CANCELLED: "cancelled",
}

#: Reasons of dead letters that have used up their retries. Any other one says why it can't be run as submitted.
TEST_FAILED_REASON: Final = "TestFailed"
INFRASTRUCTURE_REASON: Final = "Infrastructure"


def name(job: Object) -> str:
    """The job id."""
    return str(job["metadata"]["name"])


def field(job: Object, key: str) -> Any:
    """A field of its status, with the schema's default."""
    return lifecycle.get(job.get("status") or {}, key)


def condition(obj: Object, kind: str) -> Mapping[str, Any]:
    """A condition of its status; empty where there is none of that type."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def phase(job: Object) -> str:
    """Its phase in the API's words."""
    return str(field(job, "phase"))


def replay_is_due(job: Object) -> bool:
    """Whether it is a dead letter that was asked to run again, and the operator has yet to see it."""
    spec = job["spec"]
    return (
        phase(job) == lifecycle.DEAD_LETTERED
        and spec.get("replays", 0) > field(job, "observedReplays")
        and not spec.get("cancel", False)  # a cancel takes the replay back
    )


def status_word(job: Object) -> str:
    """Its status in the CLI's words."""
    return STATUS_WORDS[lifecycle.PENDING] if replay_is_due(job) else STATUS_WORDS.get(phase(job), phase(job))


def is_over(job: Object) -> bool:
    """Whether nothing more happens to it by itself."""
    return phase(job) in lifecycle.FINISHED and not replay_is_due(job)


def attempts_since_replay(job: Object) -> list[dict[str, Any]]:
    """Its attempts, oldest first, without those before its last replay."""
    since = field(job, "queueTime") or ""
    # Times in one format sort as texts.
    return [
        each
        for each in field(job, "attempts")
        if str(each.get("startTime") or each.get("finishTime") or since) >= since
    ]


def can_not_be_run(job: Object) -> bool:
    """Whether it is a dead letter because of what was submitted: no such app version or test file, a broken source."""
    used_up = (TEST_FAILED_REASON, INFRASTRUCTURE_REASON)
    return (
        phase(job) == lifecycle.DEAD_LETTERED
        and not replay_is_due(job)
        and field(job, "reason") not in used_up
    )


def times(count: int) -> str:
    """'once', 'twice', '3 times'."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def one_line(text: str, limit: int = 0) -> str:
    """The text's lines joined into one, cut to `limit` characters where that is given."""
    flat = " ".join(text.split())
    return flat if not limit or len(flat) <= limit else flat[: limit - 1] + "…"


def details(job: Object, now: datetime) -> str:
    """One sentence on where it is and why."""
    spec = job["spec"]
    reason, message = str(field(job, "reason")), str(field(job, "message"))
    match phase(job):
        case lifecycle.PENDING if message:
            return message
        case lifecycle.PENDING:
            again = "Replayed, waiting" if reason == "Replayed" else "Waiting"
            return f"{again} in queue:p{spec.get('priority', 5)} for target {spec['target']}"
        case lifecycle.SCHEDULED:
            note = f": {message}" if message else ""
            return f"In batch {field(job, 'batch')}, not started yet{note}"
        case lifecycle.RUNNING:
            since = lifecycle.parse_time(field(job, "startTime"))
            note = f" for {duration((now - since).total_seconds())}" if since else ""
            return f"Running{note} in batch {field(job, 'batch')}, pod {field(job, 'pod')}"
        case lifecycle.RETRYING:
            return f"{_failure(job)}{_colon(message)}; retry {_when(job, now)}"
        case lifecycle.SUCCEEDED:
            failures = field(job, "failures") + field(job, "infrastructureFailures")
            return f"Passed after failing {times(failures)}" if failures else "Passed"
        case lifecycle.DEAD_LETTERED if replay_is_due(job):
            return f"Replay requested: to queue:p{spec.get('priority', 5)} for target {spec['target']}"
        case lifecycle.DEAD_LETTERED:
            return f"{_failure(job)}{_colon(message)}"
        case lifecycle.CANCELLED:
            return "Cancelled"
        case other:
            return other


def failure(job: Object) -> str:
    """Why it did not pass, as the end of a sentence: 'failed 4 times: Expected …'."""
    text = _failure(job)
    if text == field(job, "reason"):
        text = f"failed with {text}"
    return f"{text[0].lower()}{text[1:]}{_colon(str(field(job, 'message')))}"


def summary(job: Object, now: datetime) -> dict[str, Any]:
    """What `status`, `list` and `wait` say about it in JSON. Absent: what does not apply."""
    spec, metadata = job["spec"], job["metadata"]
    view = {
        "job_id": metadata["name"],
        "status": status_word(job),
        "details": details(job, now),
        "namespace": metadata.get("namespace"),
        "org_id": spec["orgId"],
        "app_version_id": spec["appVersionId"],
        "test": spec["test"],
        "target": spec["target"],
        "priority": spec.get("priority", 5),
        "max_retries": spec.get("maxRetries", 3),
        "failures": field(job, "failures"),
        "infrastructure_failures": field(job, "infrastructureFailures"),
        "reason": field(job, "reason") or None,
        "message": field(job, "message") or None,
        "batch": field(job, "batch") or None,
        "pod": field(job, "pod") or None,
        "created_at": metadata.get("creationTimestamp"),
        "started_at": field(job, "startTime"),
        "finished_at": field(job, "finishTime"),
        "next_attempt_at": field(job, "nextAttemptTime"),
        "replays": spec.get("replays") or None,
    }
    return {key: value for key, value in view.items() if value is not None}


def full(job: Object, now: datetime) -> dict[str, Any]:
    """`summary`, and every attempt that the status still holds."""
    return {**summary(job, now), "attempts": [_attempt(entry) for entry in field(job, "attempts")]}


def duration(seconds: float) -> str:
    """'42 s', '3 min 20 s', '2 h 5 min', '3 d 4 h'."""
    whole = max(0, round(seconds))
    for size, unit, smaller, small_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {small_unit}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def age(job: Object, now: datetime) -> str:
    """How long ago it was created."""
    created = lifecycle.parse_time(job["metadata"].get("creationTimestamp"))
    return duration((now - created).total_seconds()) if created else ""


def _attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    view = {
        "number": entry.get("number"),
        "outcome": entry.get("outcome"),
        "message": entry.get("message") or None,
        "device": entry.get("device") or None,
        "batch": entry.get("batch") or None,
        "pod": entry.get("pod") or None,
        "started_at": entry.get("startTime"),
        "finished_at": entry.get("finishTime"),
        "cases": entry.get("cases"),
        "failed_cases": entry.get("failedCases"),
        "skipped_cases": entry.get("skippedCases"),
        "artifacts": entry.get("artifacts") or None,
        "session": entry.get("session") or None,
        "video": entry.get("video") or None,
    }
    return {key: value for key, value in view.items() if value is not None}


def _failure(job: Object) -> str:
    reason = str(field(job, "reason"))
    failures, infrastructure = field(job, "failures"), field(job, "infrastructureFailures")
    if reason == TEST_FAILED_REASON:
        return f"Failed {times(failures)}"
    if reason == INFRASTRUCTURE_REASON:
        note = f", after failing {times(failures)} by itself" if failures else ""
        return f"Infrastructure failed {times(infrastructure)}{note}"
    return reason or "Failed"


def _when(job: Object, now: datetime) -> str:
    moment = lifecycle.parse_time(field(job, "nextAttemptTime"))
    if moment is None:
        return "as soon as a slot is free"
    left = (moment - now).total_seconds()
    return f"in {duration(left)}" if left > 0 else "as soon as a slot is free"


def _colon(message: str) -> str:
    return f": {message}" if message else ""
