"""Merging attempts into JUnit XML as Surefire and Jenkins have it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from qgjob.cli.junit import Case, Failure, NotJUnit, Run, Suite, document, read

REPORT = b"""<?xml version="1.0"?>
<testsuites><testsuite name="login">
  <testcase name="opens" classname="login.spec.ts" time="1,234.5"/>
  <testcase name="signs in" classname="login.spec.ts" time="2.5">
    <failure message="no button" type="AssertionError">at login.spec.ts:4</failure>
  </testcase>
  <testcase name="pays"><skipped/></testcase>
</testsuite></testsuites>"""


def run(outcome: str = "passed", message: str = "", **cases: str) -> Run:
    """An attempt; each case by its failure's message, empty where it passed."""
    kind: Any = "failure" if outcome == "failed" else "error"
    failure = None if outcome == "passed" else Failure(kind, message)
    return Run(
        failure,
        1.0,
        [Case(name, failure=Failure("failure", text) if text else None) for name, text in cases.items()],
    )


def written(*runs: Run, **more: Any) -> tuple[dict[str, list[tuple[str, str]]], dict[str, int]]:
    """Each case's children (tag, message), and the counts."""
    content, counts = document([Suite("a.spec.ts", runs, **more)])
    root = ET.fromstring(content)
    return {
        str(case.get("name")): [(child.tag, child.get("message", "")) for child in case]
        for case in root.iter("testcase")
    }, counts


def test_a_report_is_read() -> None:
    opens, signs_in, pays = read(REPORT)

    assert (opens.name, opens.classname, opens.time) == ("opens", "login.spec.ts", 1234.5)
    assert signs_in.failure == Failure("failure", "no button", "AssertionError", "at login.spec.ts:4")
    assert (pays.skipped, pays.failure) == ("", None)


@pytest.mark.parametrize(
    "content",
    [
        b"<html/>",
        b"<testsuite><testc",
        b"not xml",
        b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>',
        '<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>'.encode("utf-16"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(NotJUnit):
        read(content)


def test_a_case_that_passes_at_last_is_flaky_and_counts_as_passed() -> None:
    cases, counts = written(run("failed", x="one", y=""), run("failed", x="two", y=""), run(x="", y=""))

    assert cases == {"x": [("flakyFailure", "one"), ("flakyFailure", "two")], "y": []}
    assert (counts["tests"], counts["failures"], counts["flaky"]) == (2, 0, 1)


def test_a_case_that_fails_for_good_tells_its_first_failure_and_the_reruns() -> None:
    cases, counts = written(run("failed", x="one"), run("failed", x="two"))

    assert cases == {"x": [("failure", "one"), ("rerunFailure", "two")]}
    assert counts["failures"] == 1


def test_an_attempt_that_infrastructure_ended_is_an_error_of_the_first_case() -> None:
    cases, counts = written(run("infrastructure", "device lost"), run(x="", y=""))

    assert cases == {"x": [("flakyError", "device lost")], "y": []}
    assert counts["errors"] == 0


def test_without_reports_a_job_is_one_case() -> None:
    cases, counts = written(run("failed", "no button"), run("infrastructure", "device lost"))

    assert cases == {"a.spec.ts": [("failure", "no button"), ("rerunError", "device lost")]}
    assert (counts["tests"], counts["failures"], counts["errors"]) == (1, 1, 0)


def test_a_failure_that_the_last_report_does_not_know_is_a_case_of_its_own() -> None:
    cases, counts = written(run("failed", "timed out after 600 s", x=""))

    assert cases == {"x": [], "a.spec.ts": [("failure", "timed out after 600 s")]}
    assert (counts["tests"], counts["failures"]) == (2, 1)


def test_a_job_that_never_ran_is_skipped_or_an_error() -> None:
    assert written(skipped="cancelled")[0] == {"a.spec.ts": [("skipped", "cancelled")]}
    failure = Failure("error", "AppVersionNotFound: no such version")
    assert written(failure=failure)[0] == {"a.spec.ts": [("error", "AppVersionNotFound: no such version")]}


def test_what_xml_can_not_carry_is_replaced() -> None:
    cases, _ = written(run("failed", "a\x1b[31mb\x00 <&> \ud800"))

    assert cases["a.spec.ts"] == [("failure", "a\ufffd[31mb\ufffd <&> \ufffd")]


def test_sums_stand_at_the_top() -> None:
    content, _ = document([Suite("a", [run("failed", x="one")]), Suite("b", [], skipped="cancelled")])

    root = ET.fromstring(content)
    assert root.attrib == {"tests": "2", "failures": "1", "errors": "0", "skipped": "1"}
    assert [suite.get("name") for suite in root] == ["a", "b"]


@pytest.mark.parametrize("time", ["nan", "inf", "-1e999", "1e400", "soon"])
def test_a_time_that_is_none_is_no_time(time: str) -> None:
    content = f'<testsuite><testcase name="a" time="{time}"/></testsuite>'.encode()

    assert [case.time for case in read(content)] == [0.0]
