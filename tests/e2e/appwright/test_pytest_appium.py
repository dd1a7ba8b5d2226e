"""pytest and Appium-Python-Client for real, by the `command` driver and the Appium that it starts."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from testrunner.drivers.base import InfrastructureError, Stopped
from tests.e2e.appwright.simulator import REPOSITORY
from tests.e2e.appwright.support import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testrunner.drivers.base import TestResult
    from tests.e2e.appwright.support import Batch

SAMPLE = REPOSITORY / "manifests" / "samples" / "shop-pytest"
DRIVER = {
    "name": "command",
    "command": {
        "test": [
            "sh",
            "-c",
            f'exec {sys.executable} -m pytest --junitxml="$QGJOB_REPORT_DIR/report.xml" "$QGJOB_TEST"',
        ],
        "appium": True,
    },
}
FAILING = """
from appium.webdriver.common.appiumby import AppiumBy

def test_passes(app):
    pass

def test_sells_a_thousand_items(app):
    app.find_element(AppiumBy.ID, "login").click()
    assert app.find_element(AppiumBy.ID, "count").text == "Items: 1000"
"""
SLOW = """
from appium.webdriver.common.appiumby import AppiumBy

def test_goes_on_and_on(app):
    app.find_element(AppiumBy.ID, "login").click()
    while True:
        app.find_element(AppiumBy.ID, "open_basket").click()
        app.find_element(AppiumBy.ID, "open_home").click()
"""
LAUNCHES = """
import os
from appium import webdriver
from appium.options.android import UiAutomator2Options
from appium.webdriver.common.appiumby import AppiumBy

def test_leaves_its_session_open():
    options = UiAutomator2Options()
    options.app_package, options.app_activity = os.environ["QGJOB_APP_PACKAGE"], ".MainActivity"
    app = webdriver.Remote(os.environ["APPIUM_URL"], options=options)
    app.find_element(AppiumBy.ID, "login").click()
    assert app.find_element(AppiumBy.ID, "launches").text == "Launches: 1"
"""
KILLING = """
import os, pathlib, signal
from appium.webdriver.common.appiumby import AppiumBy

def test_loses_its_appium(app):
    port = os.environ["APPIUM_URL"].rsplit(":", 1)[1].encode()
    for each in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        words = each.read_bytes().split(b"\\0")
        if b"--port" in words and words[words.index(b"--port") + 1] == port:
            os.kill(int(each.parent.name), signal.SIGNUM)
    app.find_element(AppiumBy.ID, "login").click()
"""


def make(batch: Callable[..., Batch], **options: Any) -> Batch:
    made: Batch = batch("1.4.0", driver=DRIVER, source=SAMPLE, **options)
    return made.install()


@pytest.fixture
def shop(batch: Callable[..., Batch]) -> Batch:
    return make(batch)


def run(shop: Batch, text: str, timeout: float = 60.0) -> TestResult:
    """Run a test file with this text."""
    (shop.source / "test_own.py").write_text(text)
    return shop.run("test_own.py", timeout=timeout)


def is_well(shop: Batch) -> bool:
    """Whether the next test passes."""
    return shop.run("test_login.py").outcome == "passed"


def test_tests_pass_on_one_install_and_each_finds_the_app_without_data(
    shop: Batch, phone: SimulatedPhone
) -> None:
    results = [shop.run(name) for name in ("test_login.py", "test_basket.py", "test_basket.py")]

    assert [(r.outcome, r.message, r.cases) for r in results] == [
        ("passed", "", 2),
        ("passed", "", 1),
        ("passed", "", 1),
    ], "\n".join(shop.lines)
    assert phone.installs() == 1
    assert (shop.workdir / "appium.log").read_text().count("Welcome to Appium") == 1
    assert [s["reason"] for s in phone.events("session-end")] == ["closed"] * 4
    assert phone.state()["overlaps"] == 0


def test_an_assertion_is_a_test_failure_in_pytests_words(shop: Batch) -> None:
    result = run(shop, FAILING)

    assert (result.outcome, result.cases, result.failed_cases) == ("failed", 2, 1)
    assert "test_sells_a_thousand_items: AssertionError: assert 'Items: 4' == 'Items: 1000'" in result.message
    assert is_well(shop)


def test_files_that_are_no_tests_are_test_failures(shop: Batch) -> None:
    results = {text: run(shop, text) for text in ("def test_x(:\n", "import nowhere\n", "")}

    assert {r.outcome for r in results.values()} == {"failed"}, results
    printed = "\n".join(shop.lines)
    assert "SyntaxError" in printed
    assert "No module named 'nowhere'" in printed
    assert "exit code 5" in results[""].message


def test_a_test_that_is_stopped_at_its_timeout_leaves_the_next_one_well(
    shop: Batch, phone: SimulatedPhone
) -> None:
    result = run(shop, SLOW, timeout=10)

    assert (result.outcome, result.message) == ("failed", "timed out after 10 s")
    assert is_well(shop)


def test_a_test_that_is_cancelled_leaves_the_next_one_well(shop: Batch, phone: SimulatedPhone) -> None:
    stopper = threading.Thread(target=lambda: phone.wait_for("tap") and shop.stop_test("cancelled"))
    stopper.start()

    with pytest.raises(Stopped, match="cancelled"):
        run(shop, SLOW)

    stopper.join()
    assert is_well(shop)


def test_a_session_that_a_test_leaves_open_disturbs_no_other(shop: Batch) -> None:
    assert [run(shop, LAUNCHES).message for _ in range(2)] == ["", ""]
    assert is_well(shop)


def test_a_phone_that_vanishes_during_a_test_is_infrastructure(shop: Batch, phone: SimulatedPhone) -> None:
    phone.fault("vanish-after:8")

    with pytest.raises(InfrastructureError, match=r"phone-1 .* is lost") as caught:
        run(shop, SLOW)

    assert caught.value.device_lost


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGSTOP"], ids=["dies", "hangs"])
def test_an_appium_that_fails_during_a_test_is_infrastructure_and_is_started_anew(
    shop: Batch, signal: str
) -> None:
    conftest = shop.source / "conftest.py"
    conftest.write_text(conftest.read_text().replace("COMMAND_SECONDS = 120", "COMMAND_SECONDS = 5"))

    result = run(shop, KILLING.replace("SIGNUM", signal))

    assert result.outcome == "infrastructure"
    assert result.message.startswith("Appium did not answer any more, and was started anew (")
    assert is_well(shop)


def test_a_session_that_can_not_begin_is_infrastructure(shop: Batch, phone: SimulatedPhone) -> None:
    # Appium's own programs can't be put on the phone.
    phone.fault("install")

    result = shop.run("test_login.py")

    assert result.outcome == "infrastructure"
    assert "Error executing adbExec" in result.message
    phone.fault("none")
    assert is_well(shop)


def test_runners_on_one_machine_do_not_meet(
    batch: Callable[..., Batch], phone: SimulatedPhone, tmp_path: Path
) -> None:
    with SimulatedPhone(tmp_path / "second.log") as second:
        shops = [make(batch), make(batch, phone=second)]

        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda shop: shop.run("test_login.py"), shops))

        assert [(r.outcome, r.message) for r in results] == [("passed", "")] * 2
        assert [len(each.events("session-end")) for each in (phone, second)] == [2, 2]
