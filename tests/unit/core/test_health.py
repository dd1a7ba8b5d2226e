"""What a batch's end says of its device; how long a quarantine lasts."""

from __future__ import annotations

from typing import Any

import pytest

from testqueue.core import health
from testqueue.core.health import Elsewhere
from testqueue.core.model import DeviceLease, DeviceView, HealthPolicy

from .objects import NOW, at, batch, target

NOBODY = Elsewhere()
OTHERS = Elsewhere(installed=True, tested=True)
POLICY = HealthPolicy(failures=2, backoff_seconds=60, max_backoff_seconds=200)
DEVICE = DeviceView("x", "x:5555")


@pytest.mark.parametrize(
    ("status", "elsewhere", "said"),
    [
        ({"phase": "Failed", "reason": "DeviceOffline"}, NOBODY, "unfit"),
        ({"phase": "Failed", "reason": "DeviceNotBooted"}, NOBODY, "unfit"),
        ({"phase": "Failed", "reason": "DeviceStorageFull"}, NOBODY, "unfit"),
        ({"phase": "Failed", "reason": "DeviceLost", "installSeconds": 1, "passed": 3}, NOBODY, "unfit"),
        ({"phase": "Failed", "reason": "InstallFailed"}, NOBODY, "unclear"),
        ({"phase": "Failed", "reason": "InstallFailed"}, Elsewhere(installed=True), "unfit"),
        ({"phase": "Failed", "reason": "AppInvalid"}, OTHERS, "unclear"),
        ({"phase": "Failed", "reason": "AppDownloadFailed"}, OTHERS, "unclear"),
        ({"phase": "Failed", "reason": "StartTimeout"}, OTHERS, "unclear"),
        ({"phase": "Failed", "reason": "Evicted"}, OTHERS, "unclear"),
        ({"phase": "Completed", "reason": "NothingToRun"}, OTHERS, "unclear"),
        ({"phase": "Completed", "installSeconds": 1, "passed": 1}, NOBODY, "well"),
        ({"phase": "Completed", "installSeconds": 1, "failed": 1}, NOBODY, "well"),
        ({"phase": "Yielded", "installSeconds": 1}, NOBODY, "well"),
        ({"phase": "Failed", "reason": "RunnerLost", "installSeconds": 1, "passed": 1}, NOBODY, "well"),
        ({"phase": "Completed", "installSeconds": 1, "infrastructure": 2}, NOBODY, "unclear"),
        (
            {"phase": "Completed", "installSeconds": 1, "infrastructure": 2},
            Elsewhere(installed=True),
            "unclear",
        ),
        ({"phase": "Completed", "installSeconds": 1, "infrastructure": 2}, OTHERS, "unfit"),
    ],
)
def test_a_device_is_blamed_only_for_what_is_its_own(
    status: dict[str, Any], elsewhere: Elsewhere, said: str
) -> None:
    assert health.verdict(batch(device="x", **status), elsewhere) == said


def failed(lease: DeviceLease, now: float = NOW) -> DeviceLease:
    ended = batch(device="x", phase="Failed", reason="DeviceOffline", message="no route to host")
    return health.after(lease, "unfit", ended, POLICY, now)


def test_a_first_failure_is_remembered_and_the_device_goes_on() -> None:
    after = failed(DeviceLease("x", batch="tb-1", since=at(0), address="x:5555"))

    assert health.idle(after, DEVICE, "") == DeviceLease(
        "x", address="x:5555", failures=1, reason="DeviceOffline", message="no route to host"
    )


def test_each_further_quarantine_is_twice_as_long_up_to_the_longest() -> None:
    lease = DeviceLease("x", failures=1)
    ends = []
    for _ in range(4):
        lease = failed(lease)
        ends.append(lease.until)

    assert ends == [at(60), at(120), at(200), at(200)]
    assert lease.failures == 5


def test_a_quarantine_begins_with_the_target_s_number_of_failures() -> None:
    ended = batch(device="x", phase="Failed", reason="DeviceLost")
    after = health.after(DeviceLease("x"), "unfit", ended, HealthPolicy(failures=1), NOW)

    assert health.idle(after._replace(address="x:5555"), DEVICE, "").state == "Quarantined"


def test_what_went_well_is_a_clean_slate() -> None:
    lease = DeviceLease("x", "tb-1", at(0), "x:5555", "Busy", 3, at(60), "DeviceLost", "gone")

    after = health.after(lease, "well", batch(device="x"), POLICY, NOW)

    assert after == DeviceLease("x", address="x:5555")


def test_what_says_nothing_of_the_device_changes_nothing() -> None:
    lease = DeviceLease("x", "tb-1", at(0), "x:5555", "Busy", 3, at(60), "DeviceLost", "gone")

    after = health.after(lease, "unclear", batch(device="x"), POLICY, NOW)

    assert (after.batch, after.failures, after.until) == ("", 3, at(60))


def test_a_device_that_was_drained_and_put_back_starts_anew() -> None:
    quarantined = DeviceLease("x", address="x:5555", state="Quarantined", failures=4, until=at(60))
    drained = health.idle(quarantined, DEVICE._replace(drained=True), "")

    assert drained == DeviceLease("x", address="x:5555", state="Drained")
    assert health.idle(drained, DEVICE, "") == DeviceLease("x", address="x:5555")


def test_another_address_is_another_phone() -> None:
    quarantined = DeviceLease("x", address="10.0.0.1:5555", state="Quarantined", failures=4, until=at(60))

    assert health.idle(quarantined, DEVICE, "") == DeviceLease("x", address="x:5555")


def device(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "address": f"{name}:5555", "state": state, **more}


@pytest.mark.parametrize(
    "devices",
    [
        [],
        [device("x", "Free"), device("y", "Drained")],
        [device("x", "Busy", batch="tb-1"), device("y", "Drained")],
        [device("x", "Free", failures=1), device("y", "Quarantined", until=at(60))],
    ],
)
def test_a_pool_is_fit_while_one_device_takes_batches(devices: list[dict[str, Any]]) -> None:
    assert health.unfit_pool(target(devices=("x", "y"), status={"devices": devices})) == ""


def test_a_pool_without_a_device_that_takes_batches_names_them_and_why() -> None:
    devices = [
        device("x", "Drained"),
        # On trial: it takes one TestJob, and has not shown that it is well.
        device("y", "Busy", batch="tb-1", failures=2, until=at(60), reason="DeviceOffline"),
    ]

    said = health.unfit_pool(target(devices=("x", "y"), status={"devices": devices}))

    assert said.startswith("no device can take a batch: x is drained; y is quarantined (DeviceOffline).")


def test_a_large_pool_s_message_stays_short() -> None:
    names = tuple(f"phone-{number}" for number in range(400))
    devices = [device(name, "Drained") for name in names]

    said = health.unfit_pool(target(devices=names, status={"devices": devices}))

    assert "and 395 more" in said
    assert len(said) < 400
