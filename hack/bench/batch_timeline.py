"""Where the time of one batch went, by its pod's log, its objects and the journal of its phone. Pure."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Object = Mapping[str, Any]

_FRAME = re.compile(r"::qgjob:: (begin|end) (\S+) ")
_BEFORE_TESTS = (
    # The step that ends with this line of the runner, and what people call the step.
    ("this pod runs TestBatch", "pod start"),
    ("driver ", "sources"),
    ("downloaded app version", "preflight and download"),
    ("installed app version", "install"),
)


class TimelineError(ValueError):
    """The log is not that of a batch that ran its tests to the end. The text says what it lacks."""


@dataclass(frozen=True)
class Line:
    """One line of the pod's log. Times are Unix seconds."""

    time: float
    text: str


@dataclass(frozen=True)
class Part:
    """One TestJob's part of the batch, by the pod's log."""

    began: float
    ended: float


def parse_log(text: str) -> list[Line]:
    """Read what `kubectl logs --timestamps` prints."""
    lines = []
    for line in text.splitlines():
        stamp, _, rest = line.partition(" ")
        lines.append(Line(unix(stamp), rest))
    return lines


def unix(stamp: str) -> float:
    """The Unix seconds of an RFC 3339 time."""
    # Kubernetes has nanoseconds, Python takes six digits.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp)).timestamp()


def parts(lines: Iterable[Line]) -> list[Part]:
    """The TestJobs' parts, in order. Raises TimelineError."""
    found, began = [], None
    for line in lines:
        if not (frame := _FRAME.match(line.text)):
            continue
        if frame[1] == "begin":
            began = line.time
        elif began is not None:
            found.append(Part(began, line.time))
            began = None
    if not found or began is not None:
        raise TimelineError("the pod's log has no test, or one without an end")
    return found


def figures(
    *,
    pod_created: float,
    lines: Sequence[Line],
    attempts: Sequence[Object],
    journal: Sequence[Object],
    test_seconds: float,
) -> dict[str, Any]:
    """The shares of the time from the pod's creation to the batch's end that were spent in tests, and the rest.

    `attempts` are the TestJobs' `status.attempts` entries, `journal` the phone's own events (none where no test
    used it), `test_seconds` what each test's author would say that it takes.
    """
    ran = parts(lines)
    sessions = [
        (float(event["t"]) - float(event["seconds"]), float(event["t"]))
        for event in journal
        if event["event"] == "session-end"
    ]
    total = lines[-1].time - pod_created
    in_attempts = sum(unix(each["finishTime"]) - unix(each["startTime"]) for each in attempts)
    shares = {"asWritten": len(ran) * test_seconds, "attempts": in_attempts}
    if sessions:
        shares["sessionsOnThePhone"] = sum(ended - began for began, ended in sessions)
    return {
        "tests": len(ran),
        "totalSeconds": round(total, 1),
        "shareInTests": {name: round(seconds / total, 3) for name, seconds in shares.items()},
        "onceSeconds": _rounded(_once(pod_created, lines, ran)),
        "perTestSeconds": _rounded(_per_test(ran, sessions, test_seconds)),
    }


def _once(pod_created: float, lines: Sequence[Line], ran: Sequence[Part]) -> dict[str, float]:
    """What the batch pays once."""
    steps, last = {}, pod_created
    for start, step in _BEFORE_TESTS:
        if (at := next((line.time for line in lines if line.text.startswith(start)), None)) is not None:
            steps[step] = at - last
            last = at
    steps["until the first test"] = ran[0].began - last
    steps["after the last test"] = lines[-1].time - ran[-1].ended
    return steps


def _per_test(
    ran: Sequence[Part], sessions: Sequence[tuple[float, float]], test_seconds: float
) -> dict[str, float]:
    """What each test costs beside its own time, on the average."""
    count = len(ran)
    between = sum(after.began - before.ended for before, after in itertools.pairwise(ran)) / max(count - 1, 1)
    whole = sum(test.ended - test.began for test in ran) / count
    if len(sessions) != count:
        return {"begin to end": whole, "beside the test": whole - test_seconds, "between two tests": between}
    pairs = list(zip(ran, sessions, strict=True))
    return {
        "begin to end": whole,
        "before the session": sum(session[0] - test.began for test, session in pairs) / count,
        "session": sum(ended - began for began, ended in sessions) / count,
        "after the session": sum(test.ended - session[1] for test, session in pairs) / count,
        "between two tests": between,
    }


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in seconds.items()}
