from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testrunner.junit import JUnitError, JUnitSummary, read_reports

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, *texts: str) -> JUnitSummary:
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.xml")
        files[-1].write_text(text)
    return read_reports(files)


def test_cases_of_all_files_and_suites_are_counted(tmp_path: Path) -> None:
    one = """<?xml version="1.0"?><testsuites><testsuite name="a"><testcase name="1"/><testcase name="2">
      <skipped/></testcase></testsuite><testsuite name="b"><testcase name="3"/></testsuite></testsuites>"""
    two = """<testsuite name="c"><testcase name="4"><failure message="no"/></testcase></testsuite>"""

    summary = read(tmp_path, one, two)

    assert (summary.cases, summary.skipped, summary.failed) == (4, 1, 1)


def test_a_failure_carries_its_message_and_all_its_text(tmp_path: Path) -> None:
    text = """<testsuite><testcase name="logs in">
      <failure message="expected Home&#10;got Login"><![CDATA[at login.spec.ts:7]]></failure>
    </testcase></testsuite>"""

    failure = read(tmp_path, text).failures[0]

    assert (failure.case, failure.message) == ("logs in", "expected Home")
    assert "at login.spec.ts:7" in failure.text


def test_a_failure_without_a_message_is_named_by_its_first_line(tmp_path: Path) -> None:
    text = "<testsuite><testcase name='a'><error>\n  TypeError: x\n  at y</error></testcase></testsuite>"

    assert read(tmp_path, text).failures[0].message == "TypeError: x"


def test_a_case_with_two_failures_failed_once(tmp_path: Path) -> None:
    text = "<testsuite><testcase name='a'><failure/><error/></testcase></testsuite>"

    assert read(tmp_path, text).failed == 1


def test_a_suite_that_failed_outside_its_cases_counts(tmp_path: Path) -> None:
    text = "<testsuite name='setup'><error message='no such module'/></testsuite>"

    summary = read(tmp_path, text)

    assert (summary.cases, summary.failed) == (0, 1)
    assert summary.message() == "1 failed: setup: no such module"


def test_the_message_names_three_failures_and_counts_the_rest(tmp_path: Path) -> None:
    cases = "".join(f"<testcase name='t{n}'><failure message='m{n}'/></testcase>" for n in range(5))

    message = read(tmp_path, f"<testsuite>{cases}</testsuite>").message()

    assert message == "5 of 5 failed: t0: m0; t1: m1; t2: m2; and 2 more"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no element found"),
        ("<testsuite><testcase name='a'/>", "no element found"),
        ("not xml", "syntax error"),
        ("<html><body>Not found</body></html>", "no JUnit report"),
        (
            "<!DOCTYPE t [<!ENTITY a 'aaaa'>]><testsuite><testcase name='&a;'/></testsuite>",
            "declares entities",
        ),
        (
            "<!DOCTYPE t [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><testsuite>&f;</testsuite>",
            "declares entities",
        ),
    ],
)
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(JUnitError, match=rf"0\.xml .*{why}"):
        read(tmp_path, text)


def test_no_files_are_no_cases() -> None:
    assert read_reports([]).cases == 0


def test_of_endless_names_and_messages_as_much_is_kept_as_people_read(tmp_path: Path) -> None:
    endless = "x" * 1_000_000
    path = tmp_path / "r.xml"
    path.write_text(
        f'<testsuite name="{endless}"><failure message="{endless}"/>'
        f'<testcase name="{endless}"><failure message="{endless}">{endless}</failure></testcase></testsuite>'
    )

    summary = read_reports([path])

    assert (summary.cases, summary.failed) == (1, 2)
    assert max(len(each.case) + len(each.text) for each in summary.failures) < 20_000


def test_a_case_inside_of_a_failure_is_no_riddle(tmp_path: Path) -> None:
    path = tmp_path / "r.xml"
    path.write_text('<testcase name="a"><failure message="no"><testcase name="b"/></failure></testcase>')

    assert read_reports([path]).failed == 1
