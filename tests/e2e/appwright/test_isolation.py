"""What a test leaves behind, also one that was ended in the middle: the next one of its batch does not meet it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from testrunner.drivers.base import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.appwright.support import Batch, SimulatedPhone

    MakeBatch = Callable[..., Batch]

#: Deaf to SIGINT and to Playwright's time limit, as a busy loop is.
DEAF = """
import { test } from "appwright";
test("goes round in circles", async ({ device }) => {
  await device.getByText("Login").tap();
  for (;;);
});
"""
TAPPING = """
import { test } from "appwright";
test("taps on and on", async ({ device }) => {
  await device.getByText("Login").tap();
  for (;;) {
    await device.getByText("Catalogue").tap();
    await device.getByText("Home").tap();
  }
});
"""
LITTERING = """
import { test } from "appwright";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
test("litters", async ({ device }) => {
  const own = join(tmpdir(), "session.json");
  if (existsSync(own) || existsSync("state.json")) throw new Error("somebody was here before");
  writeFileSync(own, "{}");
  writeFileSync("state.json", "{}");
  appendFileSync("tests/login.spec.ts", "throw new Error('changed by another test');");
  await device.getByText("Login").tap();
});
"""


def test_a_test_that_is_deaf_when_its_time_is_over_leaves_no_session_to_the_next(
    batch: MakeBatch, phone: SimulatedPhone
) -> None:
    shop = batch("1.4.0").install()

    deaf = shop.run(shop.spec("deaf.spec.ts", DEAF), timeout=5)
    left = phone.state()["live_session"]
    following = shop.run("tests/login.spec.ts")

    assert (deaf.outcome, deaf.message) == ("failed", "timed out after 5 s")
    assert (left, following.outcome, phone.state()["overlaps"]) == (None, "passed", 0), following


@pytest.mark.parametrize(
    "fault", ["ui-hang-after:30", "none"], ids=["in a command that hangs", "between commands"]
)
def test_a_test_that_is_stopped_leaves_no_session_to_the_next(
    batch: MakeBatch, phone: SimulatedPhone, fault: str
) -> None:
    shop = batch("1.4.0").install()
    test = shop.spec("tapping.spec.ts", TAPPING)
    phone.fault(fault)

    def cancel() -> None:
        phone.wait_for("tap")
        phone.wait_until(lambda state: fault.startswith(state["fault"]))
        shop.stop_test("cancelled")

    stopper = threading.Thread(target=cancel)
    stopper.start()
    with pytest.raises(Stopped, match="cancelled"):
        shop.run(test, timeout=120)
    stopper.join()
    left = phone.state()["live_session"]
    following = shop.run("tests/login.spec.ts")

    assert (left, following.outcome, phone.state()["overlaps"]) == (None, "passed", 0), following


def test_a_command_that_hangs_costs_its_own_test_only(batch: MakeBatch, phone: SimulatedPhone) -> None:
    shop = batch("1.4.0").install()
    phone.fault("ui-hang-after:30")

    hung = shop.run(shop.spec("tapping.spec.ts", TAPPING), timeout=10)
    following = shop.run("tests/login.spec.ts")

    assert (hung.outcome, following.outcome, phone.state()["overlaps"]) == ("failed", "passed", 0), (
        hung,
        following,
    )


def test_files_of_one_test_are_not_met_by_the_next(batch: MakeBatch) -> None:
    shop = batch("1.4.0").install()
    littering = shop.spec("littering.spec.ts", LITTERING)

    results = [shop.run(test) for test in (littering, littering, "tests/login.spec.ts")]

    assert [(each.outcome, each.message) for each in results] == [("passed", "")] * 3
