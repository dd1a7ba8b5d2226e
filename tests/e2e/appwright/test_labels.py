"""What each way of failing is called: the test's own fault, or the infrastructure's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from testrunner.devices import adb
from testrunner.drivers.base import InfrastructureError, Stopped, SubmitterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.appwright.support import Batch, SimulatedPhone

    MakeBatch = Callable[..., Batch]

HANGING = """
import { test } from "appwright";
test("waits for a promise that nobody keeps", async ({ device }) => {
  await device.getByText("Login").tap();
  await new Promise(() => {});
});
"""
SLOW = """
import { test } from "appwright";
test("taps on and on", async ({ device }) => {
  await device.getByText("Login").tap();
  for (;;) {
    await device.getByText("Catalogue").tap();
    await device.getByText("Home").tap();
  }
});
"""


@pytest.fixture
def installed(batch: MakeBatch) -> Batch:
    return batch("1.4.0").install()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "assertion.spec.ts",
            'import { expect, test } from "appwright";\ntest("counts", async () => { expect(1).toBe(2); });\n',
            "assertion.spec.ts:2: counts: Error: expect(received).toBe(expected)",
        ),
        (
            "syntax.spec.ts",
            'import { test } from "appwright";\ntest("x", async ({ device }) => {\n',
            "SyntaxError",
        ),
        ("import.spec.ts", 'import "./nowhere";\n', "Cannot find module"),
        ("empty.spec.ts", "// nothing yet\n", "found no test"),
    ],
    ids=["assertion", "syntax", "import", "empty"],
)
def test_what_is_wrong_with_the_file_is_a_test_failure(
    installed: Batch, name: str, text: str, words: str
) -> None:
    result = installed.run(installed.spec(name, text))

    assert (result.outcome, words in result.message) == ("failed", True), result


def test_an_assertion_on_the_screen_is_a_test_failure_and_says_where(installed: Batch) -> None:
    result = installed.run("tests/broken.spec.ts")

    assert result.outcome == "failed"
    assert result.message.startswith(
        "broken.spec.ts:4: sells a thousand items: Error: expect(received).toBe(expected)"
    )
    assert result.message.endswith('Expected: "Items: 1000" Received: "Items: 4"')


def test_a_file_that_is_not_there_can_never_pass(installed: Batch) -> None:
    with pytest.raises(SubmitterError, match="TestNotFound"):
        installed.run("tests/nowhere.spec.ts")


def test_a_test_that_hangs_is_a_test_failure_at_its_timeout(installed: Batch) -> None:
    result = installed.run(installed.spec("hanging.spec.ts", HANGING), timeout=8)

    assert result.outcome == "failed"
    assert "Test timeout of 8000ms exceeded" in result.message


def test_a_phone_that_vanishes_before_a_test_is_infrastructure(
    installed: Batch, phone: SimulatedPhone
) -> None:
    phone.fault("vanish")

    with pytest.raises(InfrastructureError, match=r"phone-1 .* is lost") as caught:
        installed.run("tests/login.spec.ts")

    assert caught.value.device_lost


def test_a_phone_that_vanishes_during_a_test_is_infrastructure(
    installed: Batch, phone: SimulatedPhone
) -> None:
    phone.fault("vanish-after:12")

    result = installed.run(installed.spec("slow.spec.ts", SLOW), timeout=120)

    assert (result.outcome, result.device_lost) == ("infrastructure", True), result
    assert "phone-1" in result.message


def test_a_phone_that_hangs_during_a_test_is_infrastructure(installed: Batch, phone: SimulatedPhone) -> None:
    phone.fault("hang-after:12")

    result = installed.run(installed.spec("slow.spec.ts", SLOW), timeout=120)

    assert (result.outcome, result.device_lost) == ("infrastructure", True), result


def test_a_phone_that_hangs_before_the_install_is_infrastructure(
    batch: MakeBatch, phone: SimulatedPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adb, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(adb, "COMMAND_SECONDS", 2.0)
    phone.fault("hang")

    with pytest.raises(InfrastructureError, match="does not answer") as caught:
        batch("1.4.0").install()

    assert (caught.value.device_lost, caught.value.reason) == (True, "DeviceOffline")


def test_a_phone_that_refuses_the_app_says_why(batch: MakeBatch) -> None:
    with pytest.raises(
        SubmitterError, match=r"INSTALL_FAILED_OLDER_SDK: Requires newer sdk version"
    ) as caught:
        batch("1.4.0-uninstallable").install()

    assert caught.value.reason == "AppInvalid"


def test_a_phone_without_room_says_so(batch: MakeBatch, phone: SimulatedPhone) -> None:
    phone.fault("install")

    with pytest.raises(InfrastructureError, match="INSTALL_FAILED_INSUFFICIENT_STORAGE"):
        batch("1.4.0").install()


def test_what_is_no_apk_is_refused_before_the_phone_is_asked(batch: MakeBatch, phone: SimulatedPhone) -> None:
    broken = batch("1.4.0")
    assert broken.context.app_path is not None
    broken.context.app_path.write_text("<html>please log in</html>")

    with pytest.raises(InfrastructureError, match="not an APK"):
        broken.install()

    assert phone.events("install-refused") == []


def test_stopping_a_test_ends_its_session_and_leaves_the_phone_usable(
    installed: Batch, phone: SimulatedPhone
) -> None:
    test = installed.spec("slow.spec.ts", SLOW)
    stopper = threading.Thread(target=lambda: phone.wait_for("tap") and installed.stop_test("cancelled"))
    stopper.start()

    with pytest.raises(Stopped, match="cancelled"):
        installed.run(test, timeout=120)

    stopper.join()
    assert phone.state()["live_session"] is None
    assert installed.run("tests/login.spec.ts").outcome == "passed"
