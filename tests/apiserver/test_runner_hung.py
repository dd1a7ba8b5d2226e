"""Frameworks that do not end when they should: each costs its own test (or the install), never the next one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import TEST_JOBS
from tests.apiserver.runner_support import World, command

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

#: The device is there and answers, and nobody else has a hand on it.
HEALTHY = (
    'test "$(adb shell echo hello)" = hello && test ! -e "$TMPDIR/left" || exit 1; '
    """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""
)
HUNG = {
    "ignores SIGINT": "trap '' INT TERM; while :; do sleep 0.1; done",
    "runs on in another session": "trap '' INT; setsid sh -c 'echo $$ > {pid}; exec sleep 1000' & wait",
    "has closed its output": "trap '' INT; exec >&- 2>&-; touch $TMPDIR/left; while :; do sleep 0.1; done",
    "floods its output": "trap '' INT; while :; do yes {line}; done",
    "keeps the device's shell": "exec adb shell logcat",
}


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def pid(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def hung(world: World, phone: SimulatedPhone, pid: Path, how: str, *, seconds: int = 3, **spec: Any) -> str:
    """A batch of one test that hangs and one that does not."""
    script = HUNG[how].replace("{pid}", str(pid)).replace("{line}", "x" * 1000)
    device = {"name": "phone-1", "address": phone.address}
    world.target(
        driver=command(f"case $QGJOB_TEST in hung*) echo begun; {script};; esac; {HEALTHY}", graceSeconds=1),
        provider={"devices": [device]},
        **spec,
    )
    return world.batch([world.job("hung", timeoutSeconds=seconds), world.job("next")], device=device)


def is_gone(pid: Path) -> bool:
    return not Path(f"/proc/{pid.read_text().strip()}").exists() if pid.exists() else True


@pytest.mark.parametrize("how", HUNG)
def test_at_its_timeout_a_test_that_hangs_fails_alone(
    world: World, phone: SimulatedPhone, pid: Path, how: str
) -> None:
    batch = hung(world, phone, pid, how)

    began = time.monotonic()
    world.run(batch)
    seconds = time.monotonic() - began

    one, two = world.status("hung"), world.status("next")
    assert (one["failures"], one["infrastructureFailures"], one["message"]) == (1, 0, "timed out after 3 s")
    assert two["phase"] == "Succeeded"
    assert (world.batch_status(batch)["phase"], is_gone(pid)) == ("Completed", True)
    assert seconds < 30


@pytest.mark.parametrize("how", HUNG)
def test_a_cancelled_test_that_hangs_is_stopped_alone(
    world: World, phone: SimulatedPhone, pid: Path, how: str
) -> None:
    batch = hung(world, phone, pid, how, seconds=600)

    with world.running(batch) as runner:
        runner.wait_for_line("begun")
        world.set_spec(TEST_JOBS, "hung", cancel=True)
        assert runner.wait() == 0, runner.output[-2000:]

    assert (world.phase("hung"), world.phase("next"), is_gone(pid)) == ("Cancelled", "Succeeded", True)


def test_at_the_batchs_timeout_a_test_that_hangs_is_stopped_and_the_rest_goes_back(
    world: World, phone: SimulatedPhone, pid: Path
) -> None:
    batch = hung(world, phone, pid, "runs on in another session", seconds=600, timeouts={"batchSeconds": 5})

    world.run(batch)

    one, two = world.status("hung"), world.status("next")
    assert (one["phase"], one["reason"], one["failures"]) == ("Retrying", "BatchTimeout", 0)
    assert (two["phase"], two["infrastructureFailures"], is_gone(pid)) == ("Pending", 0, True)


@pytest.mark.parametrize("how", ["ignores SIGINT", "runs on in another session", "floods its output"])
def test_an_install_that_hangs_ends_at_its_timeout(world: World, pid: Path, how: str) -> None:
    script = HUNG[how].replace("{pid}", str(pid)).replace("{line}", "x" * 1000)
    world.target(driver=command("exit 1", install=["sh", "-c", script]), timeouts={"installSeconds": 2})
    batch = world.batch([world.job("one"), world.job("two")])

    world.run(batch)

    status = world.batch_status(batch)
    assert (status["phase"], status["reason"]) == ("Failed", "InstallFailed")
    assert "longer than 2 s (the TestTarget's timeouts.installSeconds)" in status["message"]
    assert is_gone(pid)
    for job in ("one", "two"):
        assert (world.status(job)["infrastructureFailures"], world.status(job)["failures"]) == (1, 0)


@pytest.mark.parametrize("isolation", ["clear", "reinstall"])
def test_an_app_that_can_not_be_made_ready_in_time_is_not_the_tests_fault(
    world: World, tmp_path: Path, isolation: str
) -> None:
    installed = tmp_path / "installed"
    world.target(
        driver=command(
            """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";""",
            install=["sh", "-c", f"test ! -e {installed} || exec sleep 600; touch {installed}"],
            clear=["sleep", "600"],
        ),
        timeouts={"installSeconds": 4},
    )
    batch = world.batch([world.job("one"), world.job("two", isolation=isolation, timeoutSeconds=1)])

    world.run(batch)

    two = world.status("two")
    assert world.phase("one") == "Succeeded"
    assert (two["phase"], two["failures"], two["infrastructureFailures"]) == ("Retrying", 0, 1)
    assert "longer than 4 s (the TestTarget's timeouts.installSeconds)" in two["message"]
