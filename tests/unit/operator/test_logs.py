"""The forms of a log line."""

from __future__ import annotations

import json
import logging
import sys

from testqueue.logs import JsonFormatter, TextFormatter, about


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("testqueue.kube", logging.WARNING, __file__, 1, "no %s", ("pod",), None)
    made.__dict__.update(extra)
    return made


def test_a_json_line_has_the_objects_that_it_is_about_as_keys() -> None:
    line = json.loads(JsonFormatter().format(record(**about(namespace="ci", batch="tb-1", testjob="t"))))

    assert line["message"] == "no pod"
    assert line["level"] == "warning"
    assert (line["namespace"], line["batch"], line["testjob"]) == ("ci", "tb-1", "t")
    assert "target" not in line


def test_a_traceback_stays_within_the_one_json_line() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        made = record(exc_info=sys.exc_info())

    text = JsonFormatter().format(made)

    assert len(text.splitlines()) == 1
    assert "ValueError: odd" in json.loads(text)["exception"]


def test_a_text_line_ends_with_the_keys() -> None:
    assert TextFormatter().format(record(**about(namespace="ci"))).endswith("warning no pod namespace=ci")
