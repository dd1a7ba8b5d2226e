"""The life of a TestJob: which phase follows which, and the patches that say so.

The one place that decides a TestJob's next status. The operator, the runner and the CLI all use it, so that a
result is the same whoever writes it. Pure: time is passed in, nothing is sent. Statuses are the plain JSON
objects that the API server returns (camelCase); the standard library is all it needs.

    Pending ──claim──▶ Scheduled ──start──▶ Running ──finish──▶ Succeeded
       ▲  ◀──give back──┘   │                  ├──▶ Retrying ──claim──▶ Scheduled (once nextAttemptTime has come)
       └──replay── DeadLettered ◀──────────────┴──▶ DeadLettered, Cancelled
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from .constants import MAX_ATTEMPTS_KEPT, MAX_MESSAGE_BYTES

Status = Mapping[str, Any]
#: Fields of a status to set; a value of None removes the field.
Changes = dict[str, Any]
JsonPatch = list[dict[str, Any]]
OutcomeName = Literal["passed", "failed", "infrastructure"]

PENDING: Final = "Pending"
SCHEDULED: Final = "Scheduled"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
RETRYING: Final = "Retrying"
DEAD_LETTERED: Final = "DeadLettered"
CANCELLED: Final = "Cancelled"

#: Phases in which a TestJob waits for a batch, belongs to one, and is over.
WAITING: Final = frozenset({PENDING, RETRYING})
CLAIMED: Final = frozenset({SCHEDULED, RUNNING})
FINISHED: Final = frozenset({SUCCEEDED, DEAD_LETTERED, CANCELLED})

#: Every change of phase that is allowed; a claim is the only way into Scheduled, a replay the only way out of the end.
TRANSITIONS: Final = frozenset(
    {
        (PENDING, SCHEDULED),
        (RETRYING, SCHEDULED),
        (SCHEDULED, PENDING),
        (SCHEDULED, RUNNING),
        (SCHEDULED, RETRYING),
        (SCHEDULED, DEAD_LETTERED),
        (RUNNING, SUCCEEDED),
        (RUNNING, RETRYING),
        (RUNNING, DEAD_LETTERED),
        (DEAD_LETTERED, PENDING),
        (PENDING, CANCELLED),
        (RETRYING, CANCELLED),
        (SCHEDULED, CANCELLED),
        (RUNNING, CANCELLED),
    }
)

_DEFAULTS: Final[dict[str, Any]] = {
    "phase": PENDING,
    "batch": "",
    "pod": "",
    "attempt": 0,
    "failures": 0,
    "infrastructureFailures": 0,
    "observedReplays": 0,
    "reason": "",
    "message": "",
    "attempts": [],
    "conditions": [],
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a target retries. Times in seconds; the defaults are TestTarget.spec.retry's."""

    backoff_seconds: float = 60
    factor: float = 2.0
    max_backoff_seconds: float = 3600
    infrastructure_retries: int = 5

    @classmethod
    def from_target_spec(cls, spec: Mapping[str, Any]) -> RetryPolicy:
        """Read it from a TestTarget's spec as the API server returns it."""
        retry = spec.get("retry") or {}
        return cls(
            backoff_seconds=retry.get("backoffSeconds", 60),
            factor=retry.get("factor", 2.0),
            max_backoff_seconds=retry.get("maxBackoffSeconds", 3600),
            infrastructure_retries=retry.get("infrastructureRetries", 5),
        )

    def delay(self, failures: int) -> float:
        """Seconds to wait after the failure of that number (1 is the first)."""
        # The exponent is bounded because a float power overflows long after the cap has been reached.
        return min(
            self.backoff_seconds * self.factor ** min(max(failures - 1, 0), 64), self.max_backoff_seconds
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt came to, as a runner (or the operator in its stead) reports it.

    `final_reason` set: no retry can help (an app version that does not exist), so the TestJob is dead-lettered
    at once with this CamelCase reason, and its failures are counted no further.
    """

    outcome: OutcomeName
    message: str = ""
    started: datetime | None = None
    cases: int = 0
    failed_cases: int = 0
    skipped_cases: int = 0
    device: str = ""
    final_reason: str = ""
    reason: str = ""
    #: The pod where a batch ended before the test was started (a running one's pod is in its status).
    pod: str = ""
    #: URLs: the folder of its artifacts, its session in a device cloud, that session's video.
    artifacts: str = ""
    session: str = ""
    video: str = ""


class TransitionError(ValueError):
    """The status is in a phase from which this step is not allowed."""


def get(status: Status, field: str) -> Any:
    """A field of a status, with the schema's default where nothing was written yet."""
    value = status.get(field)
    return _DEFAULTS.get(field) if value is None else value


def timestamp(moment: datetime) -> str:
    """Kubernetes' date-time: UTC, whole seconds rounded up, so that a 'not before' is never early."""
    moment = moment.astimezone(UTC)
    if moment.microsecond:
        moment = moment.replace(microsecond=0) + timedelta(seconds=1)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str | None) -> datetime | None:
    """The moment that a Kubernetes date-time or micro-time names; None where it names none.

    The API server takes more for a date-time than there is (second 60, year 0, an offset of 99 hours), and whoever may
    write statuses may write those: nobody who reads them must stumble over it.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def seconds_between(start: str | None, finish: str | None) -> float | None:
    """Seconds from one date-time to another, at least 0; None where one of them is missing."""
    begun, over = parse_time(start), parse_time(finish)
    return None if begun is None or over is None else max((over - begun).total_seconds(), 0.0)


def clip(message: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """The message, cut to `limit` bytes of UTF-8 with a mark where something is missing."""
    # Output of tests may hold what is no text (lone surrogates), which JSON in UTF-8 can't carry.
    raw = message.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode(errors="ignore") + "…"


def is_due(status: Status, now: datetime) -> bool:
    """Whether a waiting TestJob may be claimed: Pending, or Retrying whose time has come."""
    phase = get(status, "phase")
    if phase == PENDING:
        return True
    if phase != RETRYING:
        return False
    when = parse_time(get(status, "nextAttemptTime"))
    return when is None or when <= now


def claim(status: Status, batch: str, replays: int) -> Changes:
    """Give a waiting TestJob to a batch. The caller sends it with the resourceVersion that it saw.

    `replays` is the spec's: what was counted up while it waited is met by this very run, so that it does not fire
    by surprise when the TestJob comes to the dead letters much later.
    """
    _require(status, SCHEDULED)
    return {
        "phase": SCHEDULED,
        "batch": batch,
        "pod": "",
        "attempt": get(status, "attempt") + 1,
        "observedReplays": replays,
        "nextAttemptTime": None,
        "reason": "",
        "message": "",
    }


def start(status: Status, pod: str, now: datetime, *, revision: str = "") -> Changes:
    """The runner's pod begins the test. `revision` is the commit that it runs of a git source."""
    _require(status, RUNNING)
    # Why it waited (an image that could not be pulled at first) is over with that.
    changes: Changes = {
        "phase": RUNNING,
        "pod": pod,
        "startTime": timestamp(now),
        "reason": "",
        "message": "",
    }
    return changes | {"revision": revision} if revision else changes


def finish(status: Status, result: Result, policy: RetryPolicy, max_retries: int, now: datetime) -> Changes:
    """One attempt is over: Running (or, for a batch that never got so far, Scheduled) to what follows."""
    failures = get(status, "failures")
    infrastructure = get(status, "infrastructureFailures")
    changes: Changes = {"attempts": _attempts(status, result, now)}
    if result.outcome == "passed":
        return changes | _end(status, SUCCEEDED, "Passed", clip(result.message), now)
    message = clip(result.message)
    if result.final_reason:
        # No budget is used: neither the test nor the infrastructure has failed.
        return changes | _end(status, DEAD_LETTERED, result.final_reason, message, now)
    if result.outcome == "failed":
        failures += 1
        changes["failures"] = failures
        over, reason, delay = failures > max_retries, "TestFailed", policy.delay(failures)
    else:
        infrastructure += 1
        changes["infrastructureFailures"] = infrastructure
        over, reason = infrastructure > policy.infrastructure_retries, "Infrastructure"
        delay = policy.delay(infrastructure)
    if over:
        return changes | _end(status, DEAD_LETTERED, reason, message, now)
    _require(status, RETRYING)
    return changes | {
        "phase": RETRYING,
        "nextAttemptTime": timestamp(now + timedelta(seconds=delay)),
        "reason": result.reason or reason,
        "message": message,
    }


def give_back(status: Status) -> Changes:
    """A claimed TestJob that was not started returns to the line, at no cost."""
    _require(status, PENDING)
    if get(status, "phase") != SCHEDULED:
        raise TransitionError("only a Scheduled TestJob can be given back")
    return {"phase": PENDING, "batch": "", "pod": "", "reason": "", "message": ""}


def cancel(status: Status, now: datetime) -> Changes:
    """spec.cancel was set: it ends where it is, and keeps what its attempts came to."""
    return _end(status, CANCELLED, "Cancelled", "cancelled by spec.cancel", now)


def refuse(status: Status, reason: str, message: str, now: datetime) -> Changes:
    """A TestJob that has not run yet may not wait any longer: it ends, with a CamelCase reason."""
    if get(status, "phase") != PENDING or get(status, "attempt"):
        raise TransitionError("only a TestJob that was never claimed can be refused")
    return _end(status, CANCELLED, reason, clip(message), now)


def replay(status: Status, replays: int, now: datetime) -> Changes:
    """spec.replays was counted up: out of the dead letters, with fresh budgets, at the line's end."""
    if get(status, "phase") != DEAD_LETTERED:
        raise TransitionError("only a DeadLettered TestJob can be replayed")
    return {
        "phase": PENDING,
        "batch": "",
        "pod": "",
        "failures": 0,
        "infrastructureFailures": 0,
        "observedReplays": replays,
        "queueTime": timestamp(now),
        "finishTime": None,
        "nextAttemptTime": None,
        "reason": "Replayed",
        "message": "",
        "conditions": [],
        # Who replays a test has often mended it, in the branch that it comes from.
        "revision": "",
    }


def json_patch(status: Status, changes: Changes) -> JsonPatch:
    """The changes as a JSON patch that holds only while the TestJob is still the same claim.

    It tests batch, phase, attempt and pod: whatever else happened to the TestJob in between, a runner that lost
    it (or sends the same patch twice) changes nothing and is answered 422.
    """
    tests: JsonPatch = [
        {"op": "test", "path": f"/status/{field}", "value": get(status, field)}
        for field in ("batch", "phase", "attempt", "pod")
    ]
    steps: JsonPatch = []
    for field, value in changes.items():
        if value is not None:
            steps.append({"op": "add", "path": f"/status/{field}", "value": value})
        elif field in status:
            steps.append({"op": "remove", "path": f"/status/{field}"})
    return tests + steps


def merge_patch(resource_version: str, changes: Changes) -> dict[str, Any]:
    """The changes as a merge patch that holds only for that resourceVersion (409 otherwise)."""
    return {"metadata": {"resourceVersion": resource_version}, "status": changes}


def apply(status: Status, changes: Changes) -> dict[str, Any]:
    """The status as it reads after the changes."""
    merged = {**status, **changes}
    return {field: value for field, value in merged.items() if value is not None}


def _require(status: Status, phase: str) -> None:
    old = get(status, "phase")
    if (old, phase) not in TRANSITIONS:
        raise TransitionError(f"a TestJob can't go from {old} to {phase}")


def _end(status: Status, phase: str, reason: str, message: str, now: datetime) -> Changes:
    _require(status, phase)
    at = timestamp(now)
    return {
        "phase": phase,
        "finishTime": at,
        "nextAttemptTime": None,
        "reason": reason,
        "message": message,
        "conditions": [
            _condition("Finished", True, reason, message, at),
            _condition("Succeeded", phase == SUCCEEDED, reason, message, at),
            _condition("DeadLettered", phase == DEAD_LETTERED, reason, message, at),
        ],
    }


def _condition(kind: str, value: bool, reason: str, message: str, at: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True" if value else "False",
        "reason": reason,
        "message": message if value else "",
        "lastTransitionTime": at,
    }


def _attempts(status: Status, result: Result, now: datetime) -> list[dict[str, Any]]:
    started = result.started and timestamp(result.started)
    if started is None and get(status, "phase") == RUNNING:
        started = get(status, "startTime")  # else it is the start of the attempt before
    entry = {
        "number": get(status, "attempt"),
        "batch": get(status, "batch"),
        "pod": get(status, "pod") or result.pod,
        "device": result.device,
        "startTime": started,
        "finishTime": timestamp(now),
        "outcome": result.outcome,
        "message": clip(result.message),
        "cases": result.cases,
        "failedCases": result.failed_cases,
        "skippedCases": result.skipped_cases,
        "artifacts": result.artifacts or None,
        "session": result.session or None,
        "video": result.video or None,
    }
    kept = [*get(status, "attempts"), {key: value for key, value in entry.items() if value is not None}]
    return kept[-MAX_ATTEMPTS_KEPT:]
