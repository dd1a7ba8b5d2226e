"""One batch on one phone: installed once, nothing leaks from test to test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.appwright.support import Batch, SimulatedPhone

    MakeBatch = Callable[..., Batch]

HELPERS = ("io.appium.settings", "io.appium.uiautomator2.server", "io.appium.uiautomator2.server.test")


def test_the_app_is_installed_once_and_the_tests_run_one_by_one(
    batch: MakeBatch, phone: SimulatedPhone
) -> None:
    shop = batch("1.4.0").install()
    names = ["login", "basket", "checkout", "search", "settings"]

    results = {name: shop.run(f"tests/{name}.spec.ts") for name in names}

    assert {name: (r.outcome, r.message) for name, r in results.items()} == dict.fromkeys(
        names, ("passed", "")
    )
    assert (results["login"].cases, results["basket"].cases) == (2, 1)
    assert phone.installs() == 1
    assert [phone.installs(helper) for helper in HELPERS] == [1, 1, 1]
    sessions = phone.events("session-end")
    assert [s["reason"] for s in sessions] == ["closed"] * 6
    assert {s["app"] for s in sessions} == {"org.example.shop"}
    assert phone.state()["overlaps"] == 0


def test_each_test_finds_the_right_version_without_anybodys_data(
    batch: MakeBatch, phone: SimulatedPhone
) -> None:
    newer = batch("1.5.0").install()
    first = [newer.run("tests/login.spec.ts"), newer.run("tests/version.spec.ts")]
    newer.close()
    older = batch("1.4.0").install()
    second = older.run("tests/version.spec.ts")

    assert [r.outcome for r in [*first, second]] == ["passed"] * 3, [*first, second]
    assert [e["version"] for e in phone.events("install") if e["package"] == "org.example.shop"] == [
        "1.5.0",
        "1.4.0",
    ]


def test_a_flaky_test_sees_how_often_it_failed(batch: MakeBatch) -> None:
    shop = batch("1.4.0").install()

    outcomes = [shop.run("tests/flaky.spec.ts", failures=n).outcome for n in (0, 1)]

    assert outcomes == ["failed", "passed"]


def test_a_project_without_configuration_gets_the_runners_own(batch: MakeBatch) -> None:
    shop = batch("1.4.0").install()
    (shop.source / "appwright.config.ts").unlink()

    assert shop.run("tests/login.spec.ts").outcome == "passed"


def test_only_the_named_file_runs(batch: MakeBatch, phone: SimulatedPhone) -> None:
    shop = batch("1.4.0").install()
    shop.spec("second-login.spec.ts", (shop.source / "tests" / "login.spec.ts").read_text())

    result = shop.run("tests/login.spec.ts:3")

    assert (result.outcome, result.cases) == ("passed", 1)
