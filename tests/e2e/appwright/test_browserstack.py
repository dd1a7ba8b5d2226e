"""Real AppWright against a simulated BrowserStack: uploads, sessions, links, and whose fault what is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testrunner.browserstack.api import Api
from testrunner.browserstack.capacity import Capacity
from testrunner.browserstack.sessions import close_left_open
from testrunner.drivers.base import InfrastructureError, NoCapacityError, Stopped, SubmitterError
from tests.e2e.appwright.cloud import CREDENTIALS, CloudBatch, SimulatedCloud
from tests.unit.browserstack_support import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeBatch = Callable[..., CloudBatch]

APPWRIGHT = {"name": "appwright"}
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
SILENT = """
import { test } from "appwright";
test("thinks for long", async ({ device }) => {
  await device.getByText("Login").tap();
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await device.getByText("Catalogue").tap();
});
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[SimulatedCloud]:
    with SimulatedCloud(tmp_path / "cloud.log") as running:
        yield running


@pytest.fixture
def batch(
    cloud: SimulatedCloud, kit_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeBatch]:
    """Makes a batch at BrowserStack: `batch("1.4.0")`."""
    monkeypatch.setenv("QGJOB_APPWRIGHT_KIT", str(kit_home))
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    made: list[CloudBatch] = []

    def make(version: str, *, driver: dict[str, Any] | None = None, **more: Any) -> CloudBatch:
        workdir = tmp_path / f"tb-{len(made) + 1}"
        made.append(CloudBatch(cloud, version, workdir, driver=driver or APPWRIGHT, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def left_open(cloud: SimulatedCloud) -> list[str]:
    found: list[str] = cloud.state()["open"]
    return found


# ---- what is saved


def test_a_batch_uploads_once_and_leaves_no_session_open(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()

    first, second = shop.run("tests/version.spec.ts"), shop.run("tests/basket.spec.ts")

    assert [(r.outcome, r.message) for r in (first, second)] == [("passed", "")] * 2
    assert (cloud.state()["uploads"], cloud.state()["sessions"], left_open(cloud)) == (1, 2, [])
    opened = cloud.events("session-open")
    assert [(e["build"], e["name"].split(":")[0]) for e in opened] == [
        ("tb-1", "tests/version.spec.ts"),
        ("tb-1", "tests/basket.spec.ts"),
    ]
    for result, event in zip((first, second), opened, strict=True):
        assert event["session"] in result.session
        assert event["session"] in result.video
    assert set(cloud.state()["ended"].values()) == {"CLIENT_STOPPED_SESSION"}
    assert set(cloud.state()["statuses"].values()) == {"passed"}


def test_the_next_batch_of_the_version_finds_the_upload(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    for version in ("1.4.0", "1.4.0", "1.5.0"):
        assert batch(version).install().run("tests/version.spec.ts").outcome == "passed"

    assert cloud.state()["uploads"] == 2


def test_an_app_that_the_team_has_uploaded_is_used_without_a_package(
    batch: MakeBatch, cloud: SimulatedCloud
) -> None:
    batch("1.4.0").install()
    name = cloud.events("upload")[0]["custom_id"]

    result = batch("1.4.0", custom_id=name).install().run("tests/version.spec.ts")

    assert (result.outcome, cloud.state()["uploads"]) == ("passed", 1)


def test_a_version_that_nobody_has_uploaded_is_the_submitters_mistake(batch: MakeBatch) -> None:
    with pytest.raises(SubmitterError, match="AppVersionNotFound"):
        batch("9.9.9", custom_id="shop-{appVersionId}").install()


def test_a_video_is_fetched_only_where_artifacts_are_kept(batch: MakeBatch) -> None:
    kept = batch("1.4.0", keeps_artifacts=True).install()
    began = time.monotonic()

    assert kept.run("tests/version.spec.ts").outcome == "passed"

    assert time.monotonic() - began > 10, "AppWright waits so long before it asks for a video"
    assert len(list((kept.workdir / "report-1" / "artifacts").rglob("*.mp4"))) == 1


# ---- whose fault


def test_an_assertion_is_a_test_failure_with_a_link(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    result = batch("1.4.0").install().run("tests/broken.spec.ts")

    assert (result.outcome, result.reason) == ("failed", "")
    assert result.message.endswith('Expected: "Items: 1000" Received: "Items: 4"')
    (marked,) = cloud.events("session-marked")
    assert (marked["status"], "Items: 1000" in marked["reason"]) == ("failed", True)
    assert marked["session"] in result.session


def test_of_several_cases_the_link_is_the_failed_ones(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()
    bad = (shop.source / "tests" / "broken.spec.ts").read_text()
    good = (shop.source / "tests" / "login.spec.ts").read_text().split("\n", 1)[1]

    result = shop.run(shop.spec("mixed.spec.ts", bad + good))

    assert (result.outcome, result.cases, result.failed_cases) == ("failed", 3, 1)
    failed = next(s for s, status in cloud.state()["statuses"].items() if status == "failed")
    assert failed in result.session


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "request_seconds", 0.5)
    monkeypatch.setattr(Api, "patience_seconds", 0.5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "reason", "advice"),
    [
        ("unauthorized", "CredentialsRefused", "Secret browserstack-account (keys username and accessKey)"),
        ("forbidden", "CredentialsRefused", "Secret browserstack-account"),
        ("rate-limit", "RateLimited", "lower the target's parallelism"),
        ("down", "CloudUnreachable", "provider.browserstack's URLs"),
        ("api-hang", "CloudUnreachable", "provider.browserstack's URLs"),
        ("upload:Something went wrong", "UploadRefused", "account and plan allow"),
    ],
)
def test_what_goes_wrong_before_the_first_test_is_named(
    batch: MakeBatch, cloud: SimulatedCloud, fault: str, reason: str, advice: str
) -> None:
    cloud.fault(fault)

    with pytest.raises(InfrastructureError) as caught:
        batch("1.4.0").install()

    assert caught.value.reason == reason
    assert advice in caught.value.message
    cloud.fault("none")


def test_an_app_that_is_none_is_the_submitters_mistake(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    cloud.fault("upload:[BROWSERSTACK_INVALID_APP] Malformed archive")

    with pytest.raises(SubmitterError, match=r"AppInvalid.*Malformed archive"):
        batch("1.4.0").install()


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("unauthorized", "CredentialsRefused", "Secret browserstack-account"),
        ("session:BROWSERSTACK_INVALID_APP_CAP", "AppGone", "uploads it again"),
        ("session:BROWSERSTACK_APP_INSTALL_FAILED", "InstallFailed", "did not take the app"),
        ("session:BROWSERSTACK_DEPRECATED_DEVICE_ERROR", "DeviceUnknown", "osVersion"),
        ("session:BROWSERSTACK_SOMETHING_NEW", "", "BROWSERSTACK_SOMETHING_NEW"),
        ("die-after:6", "SessionLost", "Session not started or terminated"),
        ("no-details", "", "session details"),
    ],
)
def test_what_goes_wrong_with_a_session_is_infrastructure(
    batch: MakeBatch, cloud: SimulatedCloud, fault: str, reason: str, words: str
) -> None:
    shop = batch("1.4.0").install()
    cloud_free(shop)
    cloud.fault(fault)

    result = shop.run("tests/version.spec.ts")

    assert (result.outcome, result.reason) == ("infrastructure", reason), result
    assert words in result.message
    cloud.fault("none")
    assert left_open(cloud) == []


def cloud_free(shop: CloudBatch) -> None:
    """Takes the look at the plan away, which would have told of the fault before the test."""
    shop.driver.await_capacity = lambda stop: None  # type: ignore[method-assign]


def test_a_full_queue_is_no_result_and_asked_for_once(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()
    cloud.fault("queue-full:1")

    with pytest.raises(NoCapacityError, match="BROWSERSTACK_QUEUE_SIZE_EXCEEDED"):
        shop.run("tests/version.spec.ts")

    assert len(cloud.events("session-refused")) == 1
    assert shop.run("tests/version.spec.ts").outcome == "passed"


@pytest.mark.parametrize("fault", ["hang", "hang-after:6"])
def test_a_hub_that_hangs_is_infrastructure(batch: MakeBatch, cloud: SimulatedCloud, fault: str) -> None:
    shop = batch("1.4.0").install()
    cloud.fault(fault)

    result = shop.run("tests/version.spec.ts", timeout=8)

    assert (result.outcome, result.reason) == ("infrastructure", "CloudUnreachable"), result
    assert "BrowserStack does not answer at" in result.message
    cloud.fault("none")
    shop.close()
    assert left_open(cloud) == []


def test_a_test_that_is_silent_for_too_long_is_told_so(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0", idle_seconds=15).install()

    result = shop.run(shop.spec("silent.spec.ts", SILENT))

    assert result.outcome == "failed", result
    assert "provider.browserstack.idleSeconds is 15" in result.message


# ---- waiting


def test_a_test_begins_only_when_others_have_left_a_session(
    batch: MakeBatch, cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capacity, "poll_seconds", 0.2)
    shop = batch("1.4.0").install()
    cloud.others(2)
    results: list[str] = []
    runner = threading.Thread(target=lambda: results.append(shop.run("tests/version.spec.ts").outcome))
    runner.start()
    while "2 of 2 sessions are taken" not in shop.driver.waiting_for:
        time.sleep(0.05)

    assert cloud.events("session-open") == []
    cloud.others(1)
    runner.join()

    assert results == ["passed"]
    assert shop.driver.waiting_for == ""


# ---- ends


def test_a_cancelled_test_leaves_no_session_open(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()
    test = shop.spec("slow.spec.ts", SLOW)
    stopper = threading.Thread(target=lambda: cloud.wait_for("tap") and shop.test_stop.request("cancelled"))
    stopper.start()

    with pytest.raises(Stopped, match="cancelled"):
        shop.run(test, timeout=120)

    stopper.join()
    assert left_open(cloud) == []


def test_a_killed_test_leaves_no_session_open_and_the_next_one_runs(
    batch: MakeBatch, cloud: SimulatedCloud
) -> None:
    shop = batch("1.4.0").install()
    test = shop.spec("slow.spec.ts", SLOW)
    stopper = threading.Thread(target=lambda: cloud.wait_for("tap") and kill_playwright(shop.workdir))
    stopper.start()

    result = shop.run(test, timeout=120)

    stopper.join()
    assert result.outcome == "infrastructure"
    assert left_open(cloud) == []
    assert [m["status"] for m in cloud.events("session-marked")] == ["failed"]
    assert shop.run("tests/version.spec.ts").outcome == "passed"


def kill_playwright(workdir: Path) -> None:
    """SIGKILL to all processes of this batch's tests: none can tidy up."""
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and (process / "cwd").readlink() == workdir / "source":
                os.kill(int(process.name), signal.SIGKILL)


def test_at_once_means_that_sessions_are_closed_at_the_end(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()
    test = shop.spec("slow.spec.ts", SLOW)
    stopper = threading.Thread(
        target=lambda: cloud.wait_for("tap") and shop.stop.request("fenced", at_once=True)
    )
    stopper.start()

    with pytest.raises(Stopped, match="fenced"):
        shop.run(test, timeout=120)

    stopper.join()
    shop.close()
    assert left_open(cloud) == []


def test_whoever_outlives_the_runner_closes_its_sessions(batch: MakeBatch, cloud: SimulatedCloud) -> None:
    shop = batch("1.4.0").install()
    test = shop.spec("slow.spec.ts", SLOW)
    runner = threading.Thread(target=lambda: run_quietly(shop, test))
    runner.start()
    cloud.wait_for("tap")

    left = close_left_open(shop.workdir.parent, CREDENTIALS, shop.context.target, shop.lines.append)

    assert (left, left_open(cloud)) == ([], [])
    shop.stop.request("the end", at_once=True)
    runner.join()


def run_quietly(shop: CloudBatch, test: str) -> None:
    with suppress(Stopped):
        shop.run(test, timeout=120)


# ---- other frameworks


@pytest.fixture
def command() -> dict[str, Any]:
    return {"name": "command", "command": {"test": [sys.executable, str(SCRIPT)]}}


def test_another_framework_gets_the_app_and_its_noted_sessions_are_closed(
    batch: MakeBatch, cloud: SimulatedCloud, command: dict[str, Any]
) -> None:
    shop = batch("1.4.0", driver=command).install()

    results = [shop.run("tests/version.spec.ts") for _ in range(2)]

    assert [r.outcome for r in results] == ["passed", "passed"], results
    assert (cloud.state()["uploads"], cloud.state()["sessions"], left_open(cloud)) == (1, 2, [])
    assert all("/sessions/" in r.session and r.video for r in results)


def test_a_full_queue_is_known_in_any_frameworks_output(
    batch: MakeBatch, cloud: SimulatedCloud, command: dict[str, Any]
) -> None:
    shop = batch("1.4.0", driver=command).install()
    cloud.fault("queue-full:1")

    with pytest.raises(NoCapacityError, match="QUEUE_SIZE_EXCEEDED"):
        shop.run("tests/version.spec.ts")


def test_the_label_of_a_session_that_is_lost_is_known_to_the_reporter(kit_home: Path) -> None:
    texts = [
        "[BROWSERSTACK_DEVICE_OFFLINE] no",
        "Session not started or terminated",
        "All parallel tests are currently in use",
        "expect(received).toBe(expected)",
    ]
    script = (
        f"const {{ label }} = require('./reporter.cjs'); console.log({texts}.map((t) => label([t])).join())"
    )

    said = subprocess.run(["node", "-e", script], cwd=kit_home, check=True, capture_output=True, text=True)

    assert said.stdout.strip() == "infrastructure,infrastructure,infrastructure,test"
