"""Devices that fail and come back, as people see them: real operator, real runners, simulated phones by real adb."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import RUNNER_ACCOUNT, TEST_BATCHES, TEST_TARGETS
from testqueue.core.recovery import FENCE_MARGIN_SECONDS
from tests.apiserver.operator_support import (
    CORE,
    Fleet,
    batches,
    ended,
    force_delete,
    make_pod,
    only_batch,
    operating,
    phases,
    set_pod_status,
    take_batch,
    wait_for_phase,
)
from tests.apiserver.runner_support import World, command, eventually, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.e2e.appwright.support import SimulatedPhone

PASS = """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""
AT_ONCE = {"backoffSeconds": 0}
NOWHERE = {"name": "pixel", "address": "127.0.0.1:9"}


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def device(world: World, name: str = "pixel", target: str = "sim") -> dict[str, Any]:
    """What the target's status says of a device."""
    status = world.client.get(TEST_TARGETS, target)["status"]
    return next((each for each in status["devices"] if each["name"] == name), {})


def ready(world: World) -> dict[str, Any]:
    """The target's condition Ready."""
    conditions = world.client.get(TEST_TARGETS, "sim")["status"]["conditions"]
    return next((each for each in conditions if each["type"] == "Ready"), {})


def state_is(world: World, state: str, name: str = "pixel") -> None:
    eventually(
        lambda: device(world, name).get("state") == state, lambda: (device(world, name), phases(world))
    )


def drain(world: World, name: str, *, drained: bool = True) -> None:
    """Edit the spec as `qgjob targets drain` does."""
    devices = world.client.get(TEST_TARGETS, "sim")["spec"]["provider"]["devices"]
    for each in devices:
        each["drained"] = drained if each["name"] == name else each["drained"]
    world.set_spec(TEST_TARGETS, "sim", provider={"devices": devices})


def test_a_phone_without_space_is_quarantined_and_comes_back_when_it_has_some(
    world: World, phone: SimulatedPhone
) -> None:
    phone.fault("storage-full")
    world.target(
        driver=command(PASS),
        provider={"devices": [{"name": "pixel", "address": phone.address}]},
        health={"failures": 2, "backoffSeconds": 3},
        retry=AT_ONCE,
    )
    world.job("one")

    with operating(world), Fleet(world):
        state_is(world, "Quarantined")
        first = device(world)
        assert (first["failures"], first["reason"]) == (2, "DeviceStorageFull")
        assert "0 MB free in /data" in first["message"]
        eventually(lambda: ready(world)["status"] == "False", lambda: ready(world))
        assert ready(world)["reason"] == "NoHealthyDevice"
        assert "pixel is quarantined (DeviceStorageFull)" in ready(world)["message"]

        # A trial finds it unfit still, and costs the TestJob nothing.
        eventually(lambda: device(world)["failures"] == 3, lambda: device(world))
        assert world.status("one")["infrastructureFailures"] == 2
        [trial] = [each for each in batches(world) if each["spec"].get("trial")]
        assert len(trial["spec"]["jobs"]) == 1

        phone.fault("none")
        wait_for_phase(world, "Succeeded")
        state_is(world, "Free")
        assert device(world)["failures"] == 0
        eventually(lambda: ready(world)["status"] == "True", lambda: ready(world))


def test_a_new_operator_goes_on_with_the_quarantine(world: World) -> None:
    world.target(
        driver=command(PASS),
        provider={"devices": [NOWHERE]},
        health={"failures": 1, "backoffSeconds": 3600},
        timeouts={"installSeconds": 8},
        retry=AT_ONCE,
    )
    world.job("one")
    with operating(world) as operator, Fleet(world):
        state_is(world, "Quarantined")
        operator.terminate()
    before = device(world)
    for batch in batches(world):
        world.client.delete(TEST_BATCHES, batch["metadata"]["name"])  # as their TTL does

    with operating(world):
        world.job("another")
        eventually(lambda: world.client.get(TEST_TARGETS, "sim")["status"]["waiting"] == 2)

        assert device(world) == before
        assert batches(world) == []


def test_a_drained_device_finishes_its_batch_and_gets_no_other(world: World) -> None:
    world.target(driver=simulate(test=5.0), provider={"devices": [NOWHERE]}, batch={"maxTests": 1})
    world.job("one")
    world.job("two")

    with operating(world), Fleet(world):
        eventually(lambda: "Running" in phases(world).values(), lambda: phases(world))
        drain(world, "pixel")
        eventually(lambda: device(world).get("message") == "drains after its batch", lambda: device(world))
        assert device(world)["state"] == "Busy"

        state_is(world, "Drained")
        assert Counter(phases(world).values()) == {"Succeeded": 1, "Pending": 1}
        eventually(lambda: ready(world)["reason"] == "NoHealthyDevice", lambda: ready(world))

        drain(world, "pixel", drained=False)
        wait_for_phase(world, "Succeeded")


def test_a_phone_that_is_renamed_while_busy_is_not_leased_twice(
    world: World, phone: SimulatedPhone, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    driver = command(f"until [ -e {seen} ]; do sleep 0.1; done; {PASS}")
    world.target(driver=driver, provider={"devices": [{"name": "pixel", "address": phone.address}]})
    world.job("one", appVersionId="v1")
    world.job("two", appVersionId="v2")

    with operating(world), Fleet(world):
        eventually(lambda: "Running" in phases(world).values(), lambda: phases(world))
        renamed = {"name": "new", "address": phone.address}
        world.set_spec(TEST_TARGETS, "sim", provider={"devices": [renamed]})
        eventually(lambda: device(world, "new") != {}, lambda: device(world, "new"))
        assert device(world)["message"] == "no longer in the spec: goes with its batch"
        assert device(world, "new")["state"] == "Free"
        seen.touch()

        wait_for_phase(world, "Succeeded")
        eventually(lambda: device(world) == {}, lambda: device(world))
        first, second = in_time(world)
    assert (first["spec"]["device"]["name"], second["spec"]["device"]["name"]) == ("pixel", "new")


def test_a_phone_of_two_targets_serves_one_batch_at_a_time_whoever_leads(
    world: World, phone: SimulatedPhone, tmp_path: Path
) -> None:
    # From its install to its test's end a batch has the lock; an install that meets it fails.
    lock = tmp_path / "lock"
    driver = command(f"sleep 0.2; rmdir {lock}; {PASS}", install=["mkdir", str(lock)])
    shared = {"devices": [{"name": "pixel", "address": phone.address}]}
    for target in ("sim", "other"):
        world.target(target, driver=driver, provider=shared, batch={"maxTests": 1})
        for number in range(3):
            world.job(f"{target}-{number}", target=target)

    with Fleet(world), operating(world), operating(world, "--lease-name", "another"):
        wait_for_phase(world, "Succeeded")
    assert [each for each in batches(world) if each["status"]["phase"] == "Failed"] == []


def in_time(world: World) -> list[dict[str, Any]]:
    """The batches as they followed each other on the one device; no two of them overlapped."""
    # A runner writes its batch's end after its last test's.
    eventually(
        lambda: all(each["status"].get("finishTime") for each in batches(world)), lambda: batches(world)
    )
    ran = [each for each in batches(world) if each["status"].get("startTime")]
    # In whole seconds, so that one may begin and end within the other's last.
    ran.sort(key=lambda each: (each["status"]["startTime"], each["status"]["finishTime"]))
    for earlier, later in itertools.pairwise(ran):
        assert earlier["status"]["finishTime"] <= later["status"]["startTime"]
    return ran


# However a batch ends, its device is free.


@pytest.fixture
def batch(world: World) -> Iterator[str]:
    """A batch of one TestJob on the one device; there is no pod, unless a test makes one."""
    world.target(
        driver=simulate(test=0.1),
        provider={"devices": [NOWHERE]},
        retry={"backoffSeconds": 3600},
        timeouts={"fenceSeconds": 1, "startSeconds": 8},
    )
    world.job("one")
    with operating(world):
        name = only_batch(world)
        eventually(lambda: has_account(world))
        assert device(world)["batch"] == name
        yield name


def has_account(world: World) -> bool:
    accounts = world.client.list("serviceaccounts", api_version=CORE)
    return any(each["metadata"]["name"] == RUNNER_ACCOUNT for each in accounts)


def completes(world: World, batch: str) -> None:
    world.run(batch)


def fails_before_its_first_test(world: World, batch: str) -> None:
    world.set_spec(TEST_TARGETS, "sim", driver={"name": "unheard-of"})
    world.run(batch)


def its_pod_crashes(world: World, batch: str) -> None:
    pod = make_pod(world, batch)
    take_batch(world, batch, pod)
    set_pod_status(world, pod, **ended(137, "OOMKilled"))


def its_pod_is_deleted_by_force(world: World, batch: str) -> None:
    pod = make_pod(world, batch)
    take_batch(world, batch, pod)
    force_delete(world, pod)


def it_is_deleted(world: World, batch: str) -> None:
    world.client.delete(TEST_BATCHES, batch)


def it_never_starts(world: World, batch: str) -> None:
    """Its start timeout does all."""


@pytest.mark.parametrize(
    ("how", "fenced"),
    [
        (completes, False),
        (fails_before_its_first_test, False),
        (its_pod_crashes, False),
        (its_pod_is_deleted_by_force, True),
        (it_is_deleted, True),
        (it_never_starts, False),
    ],
)
def test_a_device_is_free_once_its_batch_is_over(
    world: World, batch: str, how: Callable[[World, str], None], fenced: bool
) -> None:
    how(world, batch)

    # A process that nobody sees may still be at work on the device until it has fenced itself.
    began = time.monotonic()
    eventually(lambda: device(world)["batch"] == "", lambda: device(world))
    if fenced:
        assert time.monotonic() - began > FENCE_MARGIN_SECONDS
    assert device(world)["failures"] == 0
