"""What the benchmark makes of a batch's log and of its phone's journal."""

from __future__ import annotations

import pytest

from hack.bench.batch_timeline import Line, TimelineError, figures, parse_log, parts, unix

BEGUN = unix("2026-01-01T00:00:00Z")
LOG = """\
2026-01-01T00:00:01.000000000Z this pod runs TestBatch a/b
2026-01-01T00:00:01.500000001Z driver appwright on phone (1.2.3.4:5555)
2026-01-01T00:00:02.000000000Z downloaded app version 1: 3 bytes
2026-01-01T00:00:12.000000000Z installed app version 1 in 10.0 s
2026-01-01T00:00:12.500000000Z ::qgjob:: begin one attempt=1
2026-01-01T00:00:21.500000000Z ::qgjob:: end one attempt=1 outcome=passed
2026-01-01T00:00:22.000000000Z ::qgjob:: begin two attempt=1
2026-01-01T00:00:31.000000000Z ::qgjob:: end two attempt=1 outcome=passed
2026-01-01T00:00:32.000000000Z TestBatch ends
"""
ATTEMPTS = [
    {"startTime": "2026-01-01T00:00:12Z", "finishTime": "2026-01-01T00:00:21Z"},
    {"startTime": "2026-01-01T00:00:22Z", "finishTime": "2026-01-01T00:00:31Z"},
]
JOURNAL = [
    {"event": "install", "t": BEGUN + 12},
    {"event": "session-end", "t": BEGUN + 21, "seconds": 8.0},
    {"event": "session-end", "t": BEGUN + 30.5, "seconds": 8.0},
]


def test_shares_are_of_the_time_from_the_pods_creation_to_the_last_line() -> None:
    found = figures(
        pod_created=BEGUN, lines=parse_log(LOG), attempts=ATTEMPTS, journal=JOURNAL, test_seconds=8.0
    )

    assert found["totalSeconds"] == 32.0
    assert found["shareInTests"] == {"asWritten": 0.5, "attempts": 0.562, "sessionsOnThePhone": 0.5}
    assert found["onceSeconds"] == {
        "pod start": 1.0,
        "sources": 0.5,
        "preflight and download": 0.5,
        "install": 10.0,
        "until the first test": 0.5,
        "after the last test": 1.0,
    }
    assert found["perTestSeconds"] == {
        "begin to end": 9.0,
        "before the session": 0.5,
        "session": 8.0,
        "after the session": 0.5,
        "between two tests": 0.5,
    }


def test_without_sessions_what_is_beside_the_test_counts() -> None:
    found = figures(pod_created=BEGUN, lines=parse_log(LOG), attempts=ATTEMPTS, journal=[], test_seconds=8.0)

    assert "sessionsOnThePhone" not in found["shareInTests"]
    assert found["perTestSeconds"]["beside the test"] == 1.0


@pytest.mark.parametrize("lines", [[], [Line(1.0, "::qgjob:: begin one attempt=1")]])
def test_a_log_without_whole_tests_is_refused(lines: list[Line]) -> None:
    with pytest.raises(TimelineError):
        parts(lines)
