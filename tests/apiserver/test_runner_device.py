"""A batch on a simulated phone, by real adb: what its loss means for the TestJobs of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.apiserver.runner_support import World, command

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

PASS = """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def device(phone: SimulatedPhone) -> dict[str, Any]:
    return {"name": "phone-1", "address": phone.address}


def test_a_commands_adb_has_the_device(world: World, phone: SimulatedPhone) -> None:
    driver = command('test "$(adb shell echo hello)" = hello || exit 1; ' + PASS)
    world.target(driver=driver, provider={"devices": [device(phone)]})

    world.run(world.batch([world.job("one")], device=device(phone)))

    assert world.phase("one") == "Succeeded"
    assert world.status("one")["attempts"][0]["device"] == "phone-1"


def test_a_phone_that_vanishes_during_a_test_costs_that_test_alone(
    world: World, phone: SimulatedPhone
) -> None:
    world.target(driver=command("echo begun; sleep 600"), provider={"devices": [device(phone)]})
    batch = world.batch([world.job("one"), world.job("two")], device=device(phone))

    with world.running(batch) as runner:
        runner.wait_for_line("begun")
        phone.fault("vanish")
        assert runner.wait() == 0, runner.output

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "DeviceLost")
    one, two = world.status("one"), world.status("two")
    assert (one["phase"], one["reason"], one["infrastructureFailures"]) == ("Retrying", "DeviceLost", 1)
    assert (two["phase"], two["infrastructureFailures"]) == ("Pending", 0)


#: A device that is not ready says so before that is over.
HURRIED = {"installSeconds": 6}


def unfit(world: World, phone: SimulatedPhone | None, **spec: Any) -> tuple[dict[str, Any], str]:
    """Run a batch of one on a phone (None: an address where nobody is); its status, and the runner's log."""
    on = device(phone) if phone else {"name": "phone-9", "address": "127.0.0.1:9"}
    world.target(
        driver=command(PASS, install=["echo", "INSTALL"]), provider={"devices": [on]}, timeouts=HURRIED
    )
    batch = world.batch([world.job("one")], device=on, **spec)
    output = world.run(batch).output
    return world.batch_status(batch), output


def test_a_phone_that_is_not_there_fails_the_batch_before_the_install(world: World, adb: str) -> None:
    status, output = unfit(world, None)

    assert (status["phase"], status["reason"]) == ("Failed", "DeviceOffline")
    assert world.status("one")["attempts"][0]["outcome"] == "infrastructure"
    assert "INSTALL" not in output


def test_a_phone_that_does_not_boot_fails_the_batch_before_the_install(
    world: World, phone: SimulatedPhone
) -> None:
    phone.fault("slow-boot:600")

    status, output = unfit(world, phone)

    assert (status["phase"], status["reason"]) == ("Failed", "DeviceNotBooted")
    assert "INSTALL" not in output


def test_a_phone_that_boots_in_time_is_waited_for(world: World, phone: SimulatedPhone) -> None:
    phone.fault("slow-boot:4")

    status, output = unfit(world, phone)

    assert (status["phase"], status["passed"]) == ("Completed", 1)
    assert "phone-1 " in output
    assert "is still booting" in output


def test_a_phone_without_space_fails_the_batch_before_the_install(
    world: World, phone: SimulatedPhone
) -> None:
    phone.fault("storage-full:99")

    status, output = unfit(world, phone)

    assert (status["phase"], status["reason"]) == ("Failed", "DeviceStorageFull")
    assert "99 MB free in /data, less than the 100 MB" in status["message"]
    assert world.status("one")["infrastructureFailures"] == 1
    assert "INSTALL" not in output


def test_a_device_that_is_tried_after_its_quarantine_costs_the_testjob_nothing(
    world: World, phone: SimulatedPhone
) -> None:
    phone.fault("storage-full")

    status, _ = unfit(world, phone, trial=True)

    one = world.status("one")
    assert (status["phase"], status["reason"], status["givenBack"]) == ("Failed", "DeviceStorageFull", 1)
    assert (one["phase"], one["infrastructureFailures"], one["attempts"]) == ("Pending", 0, [])


def test_a_broken_app_is_charged_for_in_a_trial_as_well(world: World, phone: SimulatedPhone) -> None:
    on = device(phone)
    world.target(driver=command(PASS, install=["false"]), provider={"devices": [on]})
    batch = world.batch([world.job("one")], device=on, trial=True)

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "InstallFailed"
    assert world.status("one")["infrastructureFailures"] == 1
