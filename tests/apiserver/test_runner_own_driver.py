"""Drivers that other packages bring, in a whole batch: the sample's as pip installs it, and broken ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hack.phone import apps
from hack.phone.shop import PACKAGE
from tests.apiserver.runner_support import World

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

SAMPLE = Path(__file__).parents[2] / "manifests" / "samples" / "tap-driver"


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture(scope="session")
def tap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample's driver, put there by pip from no index."""
    folder = tmp_path_factory.mktemp("tap")
    source = shutil.copytree(SAMPLE, folder / "source")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--target", folder / "installed", source], check=True)
    return folder / "installed"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "good.sh").write_text("echo 1..2; echo ok 1 - starts; echo 'ok 2 - pays # SKIP no card here'\n")
    (folder / "bad.sh").write_text("echo ok 1 - starts; echo not ok 2 - shows the basket; exit 1\n")
    (folder / "out.sh").write_text("echo 'Bail out! the shop is closed'; exit 1\n")
    (folder / "empty.sh").write_text("true\n")
    (folder / "slow.sh").write_text("echo ok 1 - starts; sleep 600\n")
    return folder


def run(world: World, package: Path, batch: str) -> str:
    """Run a batch by a runner that has the package; returns its log."""
    with world.running(batch, env={"PYTHONPATH": str(package)}) as runner:
        assert runner.wait() == 0, runner.output
    return runner.output


def test_a_driver_that_pip_installed_runs_a_batch(world: World, tap: Path, scripts: Path) -> None:
    world.target(driver={"name": "tap"}, source={"image": {"path": str(scripts)}})
    names = ("good", "bad", "out", "empty", "slow", "missing")
    jobs = [world.job(name, test=f"{name}.sh", timeoutSeconds=3) for name in names]

    run(world, tap, world.batch(jobs))

    attempts = {name: world.status(name)["attempts"][0] for name in names if name != "missing"}
    assert {name: (each["outcome"], each["message"]) for name, each in attempts.items()} == {
        "good": ("passed", ""),
        "bad": ("failed", "1 of 2 failed: shows the basket"),
        "out": ("infrastructure", "the shop is closed"),
        "empty": ("failed", "ended with exit code 0 after 0 cases"),
        "slow": ("failed", "timed out after 3 s"),
    }
    assert (attempts["good"]["cases"], attempts["good"]["skippedCases"]) == (2, 1)
    assert world.status("missing")["reason"] == "TestNotFound"


def test_it_has_the_device_and_the_app(
    world: World, tap: Path, scripts: Path, tmp_path: Path, phone: SimulatedPhone
) -> None:
    app = apps.package("1.4.0")
    assert app is not None
    (tmp_path / "v1.apk").write_bytes(app)
    (scripts / "starts.sh").write_text(
        f'adb shell am start -n {PACKAGE}/.MainActivity && echo "ok 1 - starts"\n'
    )
    device = {"name": "phone-1", "address": phone.address}
    world.target(
        driver={"name": "tap", "settings": {"package": PACKAGE}},
        provider={"devices": [device]},
        app={"url": f"file://{tmp_path}/{{appVersionId}}.apk"},
        source={"image": {"path": str(scripts)}},
    )
    jobs = [world.job(name, test="starts.sh") for name in ("one", "two")]

    run(world, tap, world.batch(jobs, device=device))

    assert [world.phase(name) for name in ("one", "two")] == ["Succeeded"] * 2
    assert phone.installs() == 1
    assert len(phone.events("clear-data")) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"interpeter": ["sh"]},
            "driver.settings.interpeter in the TestTarget: Extra inputs are not permitted",
        ),
        (
            {"interpreter": "sh"},
            "driver.settings.interpreter in the TestTarget: Input should be a valid list",
        ),
    ],
    ids=["unknown", "wrong type"],
)
def test_settings_that_it_does_not_take_are_told_before_an_install(
    world: World, tap: Path, settings: dict[str, Any], words: str
) -> None:
    world.target(driver={"name": "tap", "settings": settings})
    batch = world.batch([world.job("one")])

    run(world, tap, batch)

    assert world.batch_status(batch)["reason"] == "PrepareFailed"
    assert world.status("one")["infrastructureFailures"] == 1
    assert words in world.status("one")["message"]


BROKEN = """
import sys, time
from testrunner.drivers.base import Driver, TestResult

{first}

class Broken(Driver):
    name = "broken"
    needs_app = False

    def prepare(self):
        {prepare}

    def install(self):
        {install}

    def run(self, test):
        if test.name == "bad":
            {run}
        return TestResult("passed", cases=1)

    def close(self):
        {close}
"""


def broken(folder: Path, *, value: str = "broken:Broken", **parts: str) -> Path:
    """A package with a driver that does what it should not."""
    empty = {"first": "", "prepare": "pass", "install": "pass", "run": "pass", "close": "pass"}
    package = folder / "package"
    about = package / "broken-1.0.dist-info"
    about.mkdir(parents=True)
    (package / "broken.py").write_text(BROKEN.format(**{**empty, **parts}))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[qgjob.drivers]\nbroken = {value}\n")
    return package


@pytest.mark.parametrize(
    ("parts", "reason", "words"),
    [
        (
            {"first": "import nowhere"},
            "DriverInvalid",
            "can't be loaded: ModuleNotFoundError: No module named",
        ),
        ({"first": "sys.exit(7)"}, "DriverInvalid", "can't be loaded: SystemExit: 7"),
        ({"value": "broken:nothing"}, "DriverInvalid", "can't be loaded: AttributeError"),
        ({"value": "broken:sys"}, "DriverInvalid", "is no testrunner.drivers.base.Driver"),
        ({"prepare": "raise ValueError('no phone')"}, "PrepareFailed", "driver failed: ValueError: no phone"),
        ({"prepare": "sys.exit(7)"}, "PrepareFailed", "it raised SystemExit(7)"),
        ({"install": "raise KeyError('apk')"}, "InstallFailed", "the driver failed: KeyError: 'apk'"),
        ({"install": "sys.exit()"}, "InstallFailed", "it raised SystemExit()"),
    ],
    ids=[
        "import",
        "exit-import",
        "no-name",
        "no-class",
        "prepare",
        "exit-prepare",
        "install",
        "exit-install",
    ],
)
def test_a_driver_that_fails_before_the_first_test_fails_the_batch(
    world: World, tmp_path: Path, parts: dict[str, str], reason: str, words: str
) -> None:
    world.target(driver={"name": "broken"})
    batch = world.batch([world.job("good")])

    run(world, broken(tmp_path, **parts), batch)

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert words in status["message"]
    assert world.status("good")["infrastructureFailures"] == 1


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("raise ValueError('no such screen')", "the driver failed: ValueError: no such screen"),
        ("sys.exit(7)", "it raised SystemExit(7)"),
        ("return True", "run() returned True, which is no TestResult"),
        ("return None", "run() returned None, which is no TestResult"),
        ("return TestResult('fine')", "one of passed, failed, infrastructure, not 'fine'"),
    ],
    ids=["raises", "exits", "true", "nothing", "unknown outcome"],
)
def test_a_driver_that_fails_in_a_test_costs_that_test_alone(
    world: World, tmp_path: Path, does: str, words: str
) -> None:
    world.target(driver={"name": "broken"})
    batch = world.batch([world.job("bad"), world.job("good")])

    run(world, broken(tmp_path, run=does), batch)

    attempt = world.status("bad")["attempts"][0]
    assert attempt["outcome"] == "infrastructure"
    assert words in attempt["message"]
    assert world.phase("good") == "Succeeded"
    assert world.batch_status(batch)["phase"] == "Completed"


@pytest.mark.parametrize(
    ("does", "line"),
    [
        ("raise ValueError('it is stuck')", "ValueError: it is stuck"),
        ("sys.exit(7)", "it raised SystemExit(7)"),
        ("time.sleep(600)", "the driver did not close in time; it ends with the process"),
    ],
    ids=["raises", "exits", "hangs"],
)
def test_a_driver_that_does_not_close_well_costs_no_result(
    world: World, tmp_path: Path, does: str, line: str
) -> None:
    world.target(driver={"name": "broken"})
    batch = world.batch([world.job("good")])

    output = run(world, broken(tmp_path, close=does), batch)

    assert line in output
    assert world.phase("good") == "Succeeded"
    assert world.batch_status(batch)["phase"] == "Completed"
