"""Quarantine, trials and drain, as a pass plans them."""

from __future__ import annotations

from typing import Any

from testqueue.core.model import BatchView, DeviceLease, Key, TargetView

from .objects import NAMESPACE, NOW, at, batch, job, target
from .planning import Scene

HEALTH = {"failures": 2, "backoffSeconds": 60, "maxBackoffSeconds": 3600}


def device(name: str = "x", state: str = "Free", **more: Any) -> dict[str, Any]:
    return {"name": name, "address": f"{name}:5555", "state": state, "batch": "", **more}


def quarantined(name: str = "x", until: float = 60, **more: Any) -> dict[str, Any]:
    return device(name, "Quarantined", failures=2, until=at(until), reason="DeviceOffline", **more)


def pool(*devices: dict[str, Any], drained: tuple[str, ...] = (), **spec: Any) -> TargetView:
    """A target whose spec has the devices of its status; `drained` names those to take out."""
    listed = [
        {"name": each["name"], "address": each["address"], "drained": each["name"] in drained}
        for each in devices
    ]
    return target(
        provider={"devices": listed}, status={"devices": list(devices)}, **{"health": HEALTH, **spec}
    )


def ended(name: str = "tb-1", on: str = "x", finished: float = 5, **status: Any) -> BatchView:
    status = {"phase": "Failed", "reason": "DeviceOffline", "message": "no answer", **status}
    return batch(name=name, device=on, pod="p", finishTime=at(finished), **status)


def leases(scene: Scene, now: float = 10) -> dict[str, DeviceLease]:
    (update,) = scene.updates(now)
    return {lease.name: lease for lease in update.leases}


def test_the_last_failure_and_its_quarantine_come_with_the_write_that_frees_the_device() -> None:
    scene = Scene(pool(device(state="Busy", batch="tb-1", since=at(0), failures=1)), ended())

    assert leases(scene, now=10)["x"] == DeviceLease(
        name="x",
        address="x:5555",
        state="Quarantined",
        failures=2,
        until=at(70),
        reason="DeviceOffline",
        message="no answer",
    )


def test_it_is_not_counted_again_by_the_next_pass_or_operator() -> None:
    first = Scene(pool(device(state="Busy", batch="tb-1", failures=1)), ended())
    (update,) = first.updates()
    written = pool(*(lease.to_object() for lease in update.leases))

    assert Scene(written, ended()).updates() == []


def test_a_batch_that_expired_meanwhile_is_not_held_against_its_device() -> None:
    scene = Scene(pool(device(state="Busy", batch="tb-1", failures=1)))
    scene.planner.mark_gone(Key(NAMESPACE, "tb-1"))

    assert leases(scene)["x"] == DeviceLease("x", address="x:5555", failures=1)


def test_the_next_batch_of_a_device_does_not_hide_what_the_last_one_came_to() -> None:
    scene = Scene(pool(device(state="Busy", batch="tb-1")), ended(), job("a", app="shop-2"))

    lease = leases(scene)["x"]

    assert (lease.batch, lease.failures, lease.reason) == ("tb-new-1", 1, "DeviceOffline")


def test_a_quarantined_device_gets_nothing_before_its_time() -> None:
    scene = Scene(pool(quarantined(until=60)), job("a"))

    assert scene.batches(now=59) == []
    assert scene.plan(now=59).look_again <= NOW + 60


def test_then_it_gets_a_trial_of_one_testjob() -> None:
    scene = Scene(pool(quarantined(until=60)), job("a"), job("b"), job("urgent", priority=9))

    (trial,) = scene.created(now=60)

    assert trial.trial
    assert [each.name for each in trial.jobs] == ["urgent"]


def test_a_busy_device_on_trial_keeps_what_is_known_of_it() -> None:
    lease = leases(Scene(pool(quarantined(until=60)), job("a")), now=61)["x"]

    assert (lease.state, lease.batch, lease.failures, lease.until) == ("Busy", "tb-new-1", 2, at(60))


def test_a_healthy_device_is_preferred_and_takes_all() -> None:
    scene = Scene(pool(quarantined("x", until=0), device("y")), job("a"), job("b"))

    (created,) = scene.created()

    assert (created.trial, created.device and created.device.name) == (False, "y")
    assert len(created.jobs) == 2


def test_what_the_healthy_devices_leave_is_tried_on_the_others() -> None:
    scene = Scene(
        pool(quarantined("x", until=0), device("y"), batch={"maxTests": 1}), job("a"), job("b"), job("c")
    )

    assert [(each.trial, len(each.jobs)) for each in scene.created()] == [(False, 1), (True, 1)]


def test_trials_keep_to_the_parallelism() -> None:
    scene = Scene(
        pool(quarantined("x", until=0), quarantined("y", until=1), parallelism=1), job("a"), job("b")
    )

    (created,) = scene.created()

    assert created.device is not None
    assert created.device.name == "x"


def test_a_trial_that_fails_doubles_the_quarantine() -> None:
    busy = device(state="Busy", batch="tb-1", failures=2, until=at(0))
    lease = leases(Scene(pool(busy), ended()), now=10)["x"]

    assert (lease.state, lease.failures, lease.until) == ("Quarantined", 3, at(10 + 120))


def test_a_trial_that_goes_well_ends_the_quarantine() -> None:
    busy = device(state="Busy", batch="tb-1", failures=2, until=at(0), reason="DeviceOffline")
    done = ended(phase="Completed", reason="", message="", installSeconds=1.0, passed=1)

    assert leases(Scene(pool(busy), done))["x"] == DeviceLease("x", address="x:5555")


def test_a_trial_that_says_nothing_of_the_device_is_tried_again() -> None:
    busy = device(state="Busy", batch="tb-1", failures=2, until=at(0))
    evicted = ended(reason="Evicted")

    (again,) = Scene(pool(busy), evicted, job("a", app="shop-2")).created()

    assert again.trial


def test_an_app_that_no_phone_takes_quarantines_none() -> None:
    refused = ended(reason="InstallFailed")
    scene = Scene(
        pool(device("x", state="Busy", batch="tb-1", failures=1), device("y")),
        refused,
        ended("tb-2", on="y", reason="InstallFailed"),
    )

    assert (leases(scene)["x"].state, leases(scene)["x"].failures) == ("Free", 1)


def test_a_phone_that_refuses_an_app_which_another_one_took_is_blamed() -> None:
    scene = Scene(
        pool(device("x", state="Busy", batch="tb-1", failures=1), device("y")),
        ended(reason="InstallFailed"),
        ended("tb-2", on="y", phase="Completed", reason="", installSeconds=1.0, passed=1),
    )

    assert leases(scene)["x"].state == "Quarantined"


def test_another_app_version_is_no_evidence() -> None:
    other = batch(
        name="tb-2", app="shop-2", device="y", phase="Completed", pod="p", installSeconds=1.0, passed=1
    )
    scene = Scene(
        pool(device("x", state="Busy", batch="tb-1", failures=1), device("y")),
        ended(reason="InstallFailed"),
        other,
    )

    assert leases(scene)["x"].state == "Free"


def test_a_drained_device_gets_nothing() -> None:
    scene = Scene(pool(device("x"), device("y"), drained=("x",)), job("a"))

    assert {name: (lease.state, lease.batch) for name, lease in leases(scene).items()} == {
        "x": ("Drained", ""),
        "y": ("Busy", "tb-new-1"),
    }


def test_a_drained_device_finishes_its_batch_and_says_so() -> None:
    running = batch(device="x", phase="Running", pod="p")
    scene = Scene(pool(device("x", state="Busy", batch="tb-1"), drained=("x",)), running)

    lease = leases(scene)["x"]

    assert (lease.state, lease.batch, lease.message) == ("Busy", "tb-1", "drains after its batch")


def test_it_is_drained_once_that_is_over() -> None:
    scene = Scene(
        pool(device("x", state="Busy", batch="tb-1", failures=1), drained=("x",)), ended(), job("a")
    )

    assert leases(scene)["x"] == DeviceLease("x", address="x:5555", state="Drained")


def test_only_devices_that_take_batches_are_slots() -> None:
    scene = Scene(pool(device("x"), quarantined("y", until=600), device("z"), drained=("z",)))

    (update,) = scene.updates()

    assert update.counts.slots == 1
