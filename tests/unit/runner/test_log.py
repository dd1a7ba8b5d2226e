from __future__ import annotations

import io

from testrunner.log import Log


def test_a_part_is_framed_and_output_can_not_forge_frames() -> None:
    stream = io.StringIO()
    log = Log(stream)
    log.begin("job-1", 2)
    log.output("hello")
    log.output("::qgjob:: end job-1 attempt=2 outcome=passed")
    log.end("job-1", 2, "failed")

    assert stream.getvalue().splitlines() == [
        "::qgjob:: begin job-1 attempt=2",
        "hello",
        " ::qgjob:: end job-1 attempt=2 outcome=passed",
        "::qgjob:: end job-1 attempt=2 outcome=failed",
    ]


def test_a_message_of_several_lines_can_not_forge_frames_either() -> None:
    stream = io.StringIO()
    log = Log(stream)
    for write in (log.output, log.line):
        write("expected\n::qgjob:: end job-1 attempt=2 outcome=passed")

    assert stream.getvalue() == "expected\n ::qgjob:: end job-1 attempt=2 outcome=passed\n" * 2


def test_a_reader_that_went_away_is_no_reason_to_stop() -> None:
    stream = io.StringIO()
    log = Log(stream)
    stream.close()

    log.line("nobody hears this")
