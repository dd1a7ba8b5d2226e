"""A batch whose own emulator boots beside it, by real adb; the simulated phone plays the emulator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from tests.apiserver.runner_support import World, command, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

PASS = """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def batch_of_two(world: World, phone: SimulatedPhone, *, boot: int, install: int = 60) -> str:
    port = int(phone.address.rpartition(":")[2])
    world.target(
        driver=command(PASS, install=["echo", "INSTALL"]),
        provider={"emulator": {"image": "registry.example/emulator:14", "port": port, "bootSeconds": boot}},
        timeouts={"installSeconds": install},
    )
    return world.batch([world.job("one"), world.job("two")])


def state(world: World, job: str) -> tuple[Any, ...]:
    status = world.status(job)
    return status["phase"], status.get("reason", ""), status["infrastructureFailures"], status["failures"]


def test_an_emulator_is_waited_for_beside_install_seconds_and_the_log_says_for_what(
    world: World, phone: SimulatedPhone
) -> None:
    batch = batch_of_two(world, phone, boot=90, install=5)
    phone.fault("boot:16")

    output = world.run(batch).output

    assert (world.phase("one"), world.phase("two")) == ("Succeeded", "Succeeded"), output
    waited_for = [
        "nothing listens",
        "sys.boot_completed",
        "package manager",
        "was ready",
        "INSTALL",
    ]
    places = [output.find(words) for words in waited_for]
    assert (min(places) >= 0, places) == (True, sorted(places)), output
    assert world.batch_status(batch)["installSeconds"] < 5


def test_an_emulator_that_takes_longer_than_its_boot_seconds_is_no_tests_fault(
    world: World, phone: SimulatedPhone
) -> None:
    batch = batch_of_two(world, phone, boot=3)
    phone.fault("slow-boot:600")

    output = world.run(batch).output

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "EmulatorNotBooted")
    assert "has not booted within 3 s" in status["message"]
    assert "sys.boot_completed is not 1" in status["message"]
    assert "registry.example/emulator:14 serves adb on port" in status["message"]
    assert [state(world, job) for job in ("one", "two")] == [("Retrying", "EmulatorNotBooted", 1, 0)] * 2
    assert "INSTALL" not in output


def test_an_emulator_that_stays_offline_is_told_from_one_that_boots(
    world: World, phone: SimulatedPhone
) -> None:
    batch = batch_of_two(world, phone, boot=4)
    phone.fault("hang")

    world.run(batch)

    status = world.batch_status(batch)
    assert (status["reason"], "is offline" in status["message"]) == ("EmulatorNotBooted", True), status


@pytest.mark.parametrize("fault", ["slow-boot:600", "hang"])
def test_sigterm_while_it_boots_is_obeyed_at_once_and_costs_no_testjob_anything(
    world: World, phone: SimulatedPhone, fault: str
) -> None:
    batch = batch_of_two(world, phone, boot=600)
    phone.fault(fault)

    with world.running(batch) as runner:
        runner.wait_for_line("driver command on emulator")
        runner.terminate()
        terminated = time.monotonic()
        runner.wait()
        seconds = time.monotonic() - terminated

    assert seconds < 8, runner.output
    assert [state(world, job) for job in ("one", "two")] == [("Pending", "", 0, 0)] * 2


def test_cancelling_all_while_it_boots_ends_the_batch(world: World, phone: SimulatedPhone) -> None:
    batch = batch_of_two(world, phone, boot=600)
    phone.fault("slow-boot:600")

    with world.running(batch) as runner:
        runner.wait_for_line("waiting for the emulator")
        for job in ("one", "two"):
            world.set_spec(TEST_JOBS, job, cancel=True)
        assert runner.wait() == 0, runner.output

    assert [world.phase(job) for job in ("one", "two")] == ["Cancelled"] * 2
    assert world.batch_status(batch)["reason"] == "NothingToRun"


def test_a_batch_says_that_its_emulator_boots_and_makes_room_when_asked(
    world: World, phone: SimulatedPhone
) -> None:
    batch = batch_of_two(world, phone, boot=600)
    phone.fault("slow-boot:600")

    with world.running(batch) as runner:
        eventually(lambda: "emulator" in world.batch_status(batch).get("message", ""), lambda: runner.output)
        world.set_spec(TEST_BATCHES, batch, **{"yield": True})
        assert runner.wait() == 0, runner.output

    assert world.batch_status(batch)["phase"] == "Yielded"
    assert [state(world, job) for job in ("one", "two")] == [("Pending", "", 0, 0)] * 2
