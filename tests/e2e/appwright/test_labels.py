"""What each way of failing is called: the test's own fault, or the infrastructure's."""

from __future__ import annotations

import json
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
            "throws.spec.ts",
            'import "appwright";\nthrow new Error("no test data");\n',
            "tests/throws.spec.ts:2: Error: no test data",
        ),
    ],
    ids=["assertion", "throws while it is loaded"],
)
def test_what_a_file_does_wrong_is_a_test_failure(installed: Batch, name: str, text: str, words: str) -> None:
    result = installed.run(installed.spec(name, text))

    assert (result.outcome, result.final_reason) == ("failed", ""), result
    assert result.message.startswith(words)


def test_a_file_that_can_not_be_loaded_is_not_tried_again_and_says_where(installed: Batch) -> None:
    """One of each kind, on one phone: the batch goes on after each."""
    installed.spec("page.ts", 'export const page = "home;\n')
    found = {
        name: installed.run(installed.spec(f"{name}.spec.ts", f'import {{ test }} from "appwright";\n{text}'))
        for name, text in {
            "syntax": 'test("x", async ({ device }) => {\n',
            "imported": 'import "./page";\n',
            "module": 'import "./nowhere";\n',
            "package": 'import "no-such-package";\n',
            "twice": 'test("x", async () => {});\ntest("x", async () => {});\n',
            "empty": "// nothing yet\n",
        }.items()
    }

    assert {name: (result.final_reason, result.cases) for name, result in found.items()} == {
        **dict.fromkeys(("syntax", "imported", "module", "package", "twice"), ("SourceInvalid", 0)),
        "empty": ("TestNotFound", 0),
    }
    assert found["syntax"].message == "tests/syntax.spec.ts:3: SyntaxError: Unexpected token"
    assert found["imported"].message == "tests/page.ts:1: SyntaxError: Unterminated string constant."
    assert found["module"].message == "tests/module.spec.ts:2: Error: Cannot find module './nowhere'"
    assert found["package"].message.startswith(
        "tests/package.spec.ts:2: Error: Cannot find module 'no-such-package': no such package is installed"
    )
    assert "duplicate test title" in found["twice"].message
    assert installed.run("tests/login.spec.ts").outcome == "passed"


@pytest.mark.parametrize("kind", ["commonjs", "module"])
def test_a_configuration_that_can_not_be_loaded_fails_each_test_at_once(installed: Batch, kind: str) -> None:
    config = installed.source / "appwright.config.ts"
    good = config.read_text()
    (installed.source / "package.json").write_text(json.dumps({"type": kind}))
    found = []
    for text in (
        "export default {;\n",
        f'import "no-such-package";\n{good}',
        f'{good}\nthrow new Error("no");\n',
    ):
        config.write_text(text)
        found.append(installed.run("tests/login.spec.ts"))

    assert [(each.outcome, each.final_reason) for each in found] == [("failed", "SourceInvalid")] * 3, found
    syntax, package, throws = [each.message for each in found]
    before = "the configuration can't be loaded: "
    assert syntax == f"{before}appwright.config.ts:1: SyntaxError: Unexpected token"
    assert package.startswith(before)
    assert "'no-such-package'" in package
    assert throws == f"{before}appwright.config.ts:{good.count(chr(10)) + 2}: Error: no"
    assert not any(str(installed.workdir) in each.message for each in found)


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
