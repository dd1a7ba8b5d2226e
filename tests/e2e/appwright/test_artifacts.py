"""What a test on a phone leaves behind for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testrunner.junit import read_reports

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.appwright.support import Batch

    MakeBatch = Callable[..., Batch]


def test_a_failed_test_leaves_report_junit_screenshot_and_the_phones_log(batch: MakeBatch) -> None:
    shop = batch("1.4.0", keeps_artifacts=True).install()
    shop.run("tests/login.spec.ts")
    first = shop.reports
    result = shop.run("tests/broken.spec.ts")

    assert result.outcome == "failed"
    report = (shop.reports / "html-report" / "index.html").read_text()
    assert "playwrightReportBase64" in report
    assert read_reports([shop.reports / "junit.xml"]).failed == 1
    assert (shop.reports / "screenshots" / "session-1-end.png").read_bytes().startswith(b"\x89PNG")
    log = (shop.reports / "device.log").read_text()
    assert "org.example.shop/u0a100 for activity" in log
    # Each test has its own part of the log, and one screenshot for each of its sessions.
    assert "tap on" in (first / "device.log").read_text()
    assert log.count("Start proc") < 3, log
    assert len(list((first / "screenshots").iterdir())) == 2


def test_nothing_is_collected_that_nobody_keeps(batch: MakeBatch) -> None:
    shop = batch("1.4.0").install()

    shop.run("tests/broken.spec.ts")

    assert not (shop.reports / "html-report").exists()
    assert not (shop.reports / "device.log").exists()
    assert not (shop.reports / "screenshots").exists()
