"""What waiting came to: one exit code, and one line that says which test and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qgjob.api import lifecycle

from . import views
from .exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Tests that the last line names; the rest is counted.
NAMED: Final = 3
#: Characters of one test's message on the last line.
MESSAGE_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Waited:
    """One TestJob when the waiting ended. `job` is what was seen last; `deleted` that it is gone since."""

    name: str
    job: Mapping[str, Any] | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exit code, and the line to end with."""

    code: Exit
    line: str


def judge(waited: Sequence[Waited], *, timeout: float, unreachable: str = "") -> Verdict:
    """Call it when all are over, or time (`timeout`, in seconds, for the words) is, or fail-fast struck.

    The worst news wins: a test that failed (1) before one that can't be run as it was submitted (2), before
    infrastructure (4), before one cancelled or deleted
    (5), before one that is not over (3). A test that has failed and is not over counts as failed: it had its
    chance to pass in time. The same holds for infrastructure failures. `unreachable` says that the API server
    has not answered lately, so that what isn't over may well be.
    """
    classes: dict[Exit, list[Waited]] = {}
    for one in waited:
        classes.setdefault(classify(one), []).append(one)
    total = len(waited)
    if failed := classes.get(Exit.FAILED):
        return Verdict(Exit.FAILED, _line("FAILED", failed, total, _failed))
    if invalid := classes.get(Exit.USAGE):
        return Verdict(Exit.USAGE, _line("INVALID", invalid, total, _invalid))
    if broken := classes.get(Exit.INFRASTRUCTURE):
        return Verdict(Exit.INFRASTRUCTURE, _line("INFRASTRUCTURE", broken, total, _failed))
    if cancelled := classes.get(Exit.CANCELLED):
        return Verdict(Exit.CANCELLED, _line("CANCELLED", cancelled, total, _cancelled))
    if late := classes.get(Exit.TIMEOUT):
        if unreachable:
            return Verdict(Exit.INFRASTRUCTURE, f"INFRASTRUCTURE: {unreachable}")
        after = f"TIMEOUT after {views.duration(timeout)}"
        return Verdict(Exit.TIMEOUT, _line(after, late, total, _late) + "; it goes on in the cluster")
    what = f"{_test(waited[0])} passed" if total == 1 else f"all {total} tests passed"
    return Verdict(Exit.PASSED, f"PASSED: {what}")


def classify(one: Waited) -> Exit:
    """The exit code that this TestJob alone would give."""
    job = one.job
    if job is None:
        return Exit.CANCELLED if one.deleted else Exit.TIMEOUT
    if views.replay_is_due(job):  # what it came to before doesn't count any more
        return Exit.CANCELLED if one.deleted else Exit.TIMEOUT
    phase, infrastructure = views.phase(job), views.field(job, "infrastructureFailures")
    if phase == lifecycle.SUCCEEDED:
        return Exit.PASSED
    if phase == lifecycle.DEAD_LETTERED:
        if views.can_not_be_run(job):
            return Exit.USAGE
        by_infrastructure = views.field(job, "reason") == views.INFRASTRUCTURE_REASON
        return Exit.INFRASTRUCTURE if by_infrastructure else Exit.FAILED
    if phase == lifecycle.CANCELLED or one.deleted:
        return Exit.CANCELLED
    if views.field(job, "failures"):
        return Exit.FAILED
    return Exit.INFRASTRUCTURE if infrastructure else Exit.TIMEOUT


def _line(word: str, those: Sequence[Waited], total: int, say: Callable[[Waited], str]) -> str:
    named = "; ".join(f"{_test(one)} {say(one)}" for one in those[:NAMED])
    count = f"{len(those)} of {total} tests: " if total > 1 else ""
    more = f"; and {len(those) - NAMED} more" if len(those) > NAMED else ""
    return f"{word}: {count}{named}{more}"


def _test(one: Waited) -> str:
    return f"{one.job['spec']['test']} (job {one.name})" if one.job else f"job {one.name}"


def _failed(one: Waited) -> str:
    job = one.job or {}
    if views.phase(job) in (lifecycle.DEAD_LETTERED, lifecycle.RETRYING):
        text = views.failure(job)
    else:
        # It runs again, or is about to: what it said last time stands in its attempts only.
        failures, infrastructure = views.field(job, "failures"), views.field(job, "infrastructureFailures")
        what = "failed" if failures else "met an infrastructure failure"
        text = f"{what} {views.times(failures or infrastructure)}{_last_message(job, failed=bool(failures))}"
    text = views.one_line(text, MESSAGE_CHARACTERS)
    return text if views.is_over(job) else f"{text} and is {_still(job)}"


def _invalid(one: Waited) -> str:
    job = one.job or {}
    reason, message = views.field(job, "reason"), views.field(job, "message")
    return views.one_line(f"can't be run: {reason}: {message}", MESSAGE_CHARACTERS)


def _last_message(job: Mapping[str, Any], *, failed: bool) -> str:
    outcome = "failed" if failed else "infrastructure"
    messages = [
        entry.get("message", "") for entry in views.field(job, "attempts") if entry.get("outcome") == outcome
    ]
    return f": {messages[-1]}" if messages and messages[-1] else ""


def _still(job: Mapping[str, Any]) -> str:
    return {
        lifecycle.RETRYING: "waiting for its retry",
        lifecycle.RUNNING: "running again",
    }.get(views.phase(job), "queued again")


def _cancelled(one: Waited) -> str:
    return "was deleted before it was over" if one.deleted else "was cancelled"


def _late(one: Waited) -> str:
    if one.job is None:
        return "is not known to be over"
    word = {"queued": "is still queued", "running": "is still running"}.get(
        views.status_word(one.job), "is not over"
    )
    message = "" if views.replay_is_due(one.job) else views.field(one.job, "message")
    return f"{word}: {views.one_line(str(message), MESSAGE_CHARACTERS)}" if message else word
