"""One test's part of a pod's log."""

from __future__ import annotations

from qgjob.cli.loglines import Part

LOG = """\
installing the app
::qgjob:: begin a attempt=1
a's first line
::qgjob:: end a attempt=1 outcome=failed
::qgjob:: begin ab attempt=1
another test's line
::qgjob:: end ab attempt=1 outcome=passed
::qgjob:: begin a attempt=2
a's second run
 ::qgjob:: end a attempt=2 outcome=passed
still a's
::qgjob:: end a attempt=2 outcome=passed
bye""".splitlines()


def part_of(job: str, attempt: int) -> list[str]:
    part = Part(job, attempt)
    return [text for line in LOG if (text := part.feed(line)) is not None]


def test_only_the_attempt_of_the_job_is_picked() -> None:
    assert part_of("a", 1) == ["a's first line"]
    assert part_of("ab", 1) == ["another test's line"]


def test_a_line_of_the_test_that_looks_like_a_frame_is_none() -> None:
    assert part_of("a", 2) == ["a's second run", " ::qgjob:: end a attempt=2 outcome=passed", "still a's"]


def test_an_attempt_that_is_not_in_the_log_is_empty() -> None:
    assert part_of("a", 3) == []


def test_the_end_tells_the_outcome() -> None:
    part = Part("a", 1)
    for line in LOG:
        part.feed(line)

    assert part.ended
    assert part.outcome == "failed"
