"""The `command` driver on a device, where the target leaves install and clear to it: real adb, a simulated phone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from hack.phone import apps
from hack.phone.shop import PACKAGE
from tests.apiserver.runner_support import World, command

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

PASS = """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""


class Pool:
    """A target whose one device is the phone, with an app; batches of it."""

    def __init__(self, world: World, phone: SimulatedPhone, folder: Path) -> None:
        self.world = world
        self.phone = phone
        self._folder = folder

    def target(
        self, *, script: str = PASS, app: bytes | None = None, name: str = "shop.apk", **settings: Any
    ) -> None:
        package = app if app is not None else apps.package("1.4.0")
        assert package is not None
        (self._folder / f"v1-{name}").write_bytes(package)
        self.world.target(
            driver=command(script, **settings),
            provider={"devices": [self._device]},
            app={"url": f"file://{self._folder}/{{appVersionId}}-{name}"},
        )

    def run(self, *isolation: str, env: dict[str, str] | None = None) -> str:
        """Run a batch of TestJobs t0, t1, … with these isolations; returns the runner's log."""
        jobs = [self.world.job(f"t{number}", isolation=each) for number, each in enumerate(isolation)]
        with self.world.running(self.world.batch(jobs, device=self._device), env=env) as runner:
            assert runner.wait() == 0, runner.output
        return runner.output

    def happened(self) -> list[str]:
        """What was done to the app on the phone, in order."""
        kinds = ("install", "uninstall", "clear-data", "install-refused")
        return [
            e["event"] for e in self.phone.events() if e["event"] in kinds and e.get("package") == PACKAGE
        ]

    def phases(self, count: int) -> list[str]:
        return [self.world.phase(f"t{number}") for number in range(count)]

    @property
    def _device(self) -> dict[str, str]:
        return {"name": "phone-1", "address": self.phone.address}


@pytest.fixture
def pool(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path, phone: SimulatedPhone) -> Pool:
    return Pool(World(crds.kubeconfig, namespace, tmp_path), phone, tmp_path)


def test_an_apk_is_installed_once_and_cleared_between_tests(pool: Pool) -> None:
    pool.target()

    pool.run("clear", "clear", "clear")

    assert pool.happened() == ["install", "clear-data", "clear-data"]
    assert pool.phases(3) == ["Succeeded"] * 3


def test_a_test_that_asks_for_it_gets_a_fresh_install(pool: Pool) -> None:
    pool.target()

    pool.run("clear", "reinstall")

    assert pool.happened() == ["install", "uninstall", "install"]


def test_no_test_meets_what_the_one_before_has_left(pool: Pool) -> None:
    # The shop counts its launches in its data.
    pool.target(script=f"adb shell am start -n {PACKAGE}/.MainActivity; " + PASS)

    pool.run("clear", "clear")

    assert pool.phone.state()["packages"][PACKAGE]["data"]["launches"] == 1


def test_every_test_has_the_permissions_that_the_install_has_granted(pool: Pool) -> None:
    pool.target()

    pool.run("clear", "clear")

    assert pool.happened() == ["install", "clear-data"]
    assert pool.phases(2) == ["Succeeded"] * 2
    assert pool.phone.state()["packages"][PACKAGE]["granted"] == ["android.permission.CAMERA"]


def test_empty_commands_leave_the_phone_alone(pool: Pool) -> None:
    pool.target(install=[], clear=[])

    pool.run("clear", "clear")

    assert pool.happened() == []


def test_commands_of_the_target_go_before_adb(pool: Pool) -> None:
    pool.target(install=["echo", "INSTALL"], clear=["echo", "CLEAR"])

    output = pool.run("clear", "clear")

    assert pool.happened() == []
    assert [line for line in output.splitlines() if line in ("INSTALL", "CLEAR")] == ["INSTALL", "CLEAR"]


def test_what_the_targets_own_command_has_installed_is_cleared(pool: Pool) -> None:
    pool.target(install=["sh", "-c", 'adb install -r "$QGJOB_APP_PATH"'])

    pool.run("clear", "clear")

    assert pool.happened() == ["install", "clear-data"]


def test_where_the_targets_own_command_has_not_installed_it_nothing_is_cleared(pool: Pool) -> None:
    pool.target(install=["true"])

    output = pool.run("clear", "clear")

    assert f"{PACKAGE} is not on phone-1: nothing to clear" in output
    assert pool.phases(2) == ["Succeeded"] * 2


def test_an_app_that_a_test_has_removed_is_there_again_for_the_next(pool: Pool) -> None:
    pool.target(script='adb uninstall "$QGJOB_APP_PACKAGE"; ' + PASS)

    output = pool.run("clear", "clear")

    assert pool.happened() == ["install", "uninstall", "install", "uninstall"]
    assert f"a test has removed {PACKAGE} from phone-1: it is installed again" in output


def test_an_app_that_no_phone_takes_is_its_submitters_matter(pool: Pool) -> None:
    pool.target(app=apps.package("1.4.0-uninstallable"))

    pool.run("clear")

    status = pool.world.status("t0")
    assert (status["phase"], status["reason"]) == ("DeadLettered", "AppInvalid")
    assert "INSTALL_FAILED_OLDER_SDK" in status["message"]


def test_what_is_no_android_app_is_left_to_the_target(pool: Pool) -> None:
    pool.target(app=b"another system's", name="shop.ipa")

    pool.run("clear", "clear")

    assert pool.happened() == []
    assert pool.phases(2) == ["Succeeded"] * 2


def test_an_apk_is_known_by_its_content_as_well(pool: Pool) -> None:
    pool.target(name="shop-1.4.0")

    pool.run("clear")

    assert pool.happened() == ["install"]


@pytest.fixture
def without_aapt(tmp_path: Path) -> dict[str, str]:
    """A PATH with adb and a shell, and little else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("adb", "sh", "true"):
        (folder / program).symlink_to(str(shutil.which(program)))
    return {"PATH": str(folder)}


def test_an_image_without_aapt_can_be_told_the_package(pool: Pool, without_aapt: dict[str, str]) -> None:
    pool.target(appPackage=PACKAGE)

    pool.run("clear", "clear", env=without_aapt)

    assert pool.happened() == ["install", "clear-data"]


def test_an_image_without_aapt_says_what_to_do(pool: Pool, without_aapt: dict[str, str]) -> None:
    pool.target()

    pool.run("clear", env=without_aapt)

    status = pool.world.status("t0")
    assert (status["phase"], status["infrastructureFailures"]) == ("Retrying", 1)
    assert "this image has no aapt: set driver.command.appPackage" in status["message"]


def test_an_app_that_is_not_cleared_for_want_of_aapt_is_told_in_the_log(
    pool: Pool, without_aapt: dict[str, str]
) -> None:
    pool.target(install=["true"])

    output = pool.run("clear", "clear", env=without_aapt)

    assert output.count("the app is not cleared between tests") == 1
    assert pool.phases(2) == ["Succeeded"] * 2


def test_an_image_without_appium_says_so_before_the_install(pool: Pool) -> None:
    pool.target(appium=True)

    pool.run("clear", env={"QGJOB_APPWRIGHT_KIT": "/nowhere"})

    status = pool.world.status("t0")
    assert (status["phase"], status["infrastructureFailures"]) == ("Retrying", 1)
    assert "Appium are not in /nowhere" in status["message"]
    assert pool.happened() == []
