"""Who has which device."""

from __future__ import annotations

from testqueue.core.model import BatchView, Key

from .objects import NAMESPACE, at, batch, job, target
from .planning import Scene


def leased(scene: Scene, now: float = 10) -> dict[str, str]:
    """The devices as a pass would write them: each with its batch, or nothing."""
    (update,) = scene.updates(now)
    return {lease.name: lease.batch for lease in update.leases}


def test_each_batch_gets_a_device_of_its_own() -> None:
    scene = Scene(target(devices=("x", "y")), job("a", app="shop-1"), job("b", app="shop-2"))

    assert leased(scene) == {"x": "tb-new-1", "y": "tb-new-2"}


def test_a_batch_knows_its_devices_address() -> None:
    (created,) = Scene(target(devices=("x",)), job("a")).created()

    assert created.device is not None
    assert (created.device.name, created.device.address) == ("x", "x:5555")


def test_a_lease_says_since_when() -> None:
    (update,) = Scene(target(devices=("x",)), job("a")).updates(now=10)

    (lease,) = update.leases
    assert (lease.state, lease.batch, lease.since) == ("Busy", "tb-new-1", at(10))


def test_a_busy_device_is_left_alone() -> None:
    scene = Scene(
        target(devices=("x", "y"), busy={"x": "tb-1"}), batch(device="x", phase="Running", pod="p"), job("a")
    )

    assert leased(scene) == {"x": "tb-1", "y": "tb-new-1"}


def test_a_device_is_free_once_its_batch_says_that_it_is_over() -> None:
    scene = Scene(target(devices=("x",), busy={"x": "tb-1"}), batch(device="x", phase="Completed", pod="p"))

    assert leased(scene) == {"x": ""}


def test_it_goes_to_the_next_batch_in_the_same_write() -> None:
    scene = Scene(
        target(devices=("x",), busy={"x": "tb-1"}), batch(device="x", phase="Failed", pod="p"), job("a")
    )

    assert leased(scene) == {"x": "tb-new-1"}


def test_a_batch_that_is_not_seen_keeps_its_device() -> None:
    """It may have been made a moment ago, or deleted while its runner still works."""
    scene = Scene(target(devices=("x",), busy={"x": "tb-1"}), job("a"))

    assert scene.batches() == []


def test_its_device_is_free_when_a_live_look_has_shown_that_nothing_runs() -> None:
    scene = Scene(target(devices=("x",), busy={"x": "tb-1"}), job("a"))

    scene.planner.mark_gone(Key(NAMESPACE, "tb-1"))

    assert leased(scene) == {"x": "tb-new-1"}


def test_a_live_batch_has_its_device_even_if_someone_cleared_the_lease() -> None:
    scene = Scene(target(devices=("x",)), batch(device="x", phase="Running", pod="p"), job("a"))

    assert leased(scene) == {"x": "tb-1"}


def test_a_device_that_was_removed_while_busy_stays_busy() -> None:
    scene = Scene(
        target(devices=("y",), busy={"x": "tb-1"}), batch(device="x", phase="Running", pod="p"), job("a")
    )

    assert leased(scene) == {"y": "tb-new-1", "x": "tb-1"}


def test_it_disappears_once_it_is_freed() -> None:
    scene = Scene(
        target(devices=("y",), busy={"x": "tb-1"}), batch(device="x", phase="Completed", pod="p"), job("a")
    )

    assert leased(scene) == {"y": "tb-new-1"}


def test_parallelism_holds_for_removed_devices_too() -> None:
    scene = Scene(
        target(devices=("y",), busy={"x": "tb-1"}, parallelism=1),
        batch(device="x", phase="Running", pod="p"),
        job("a"),
    )

    assert scene.batches() == []


def test_a_batch_that_vanished_counts_as_one_that_runs() -> None:
    scene = Scene(target(devices=("x", "y"), busy={"x": "tb-1"}, parallelism=1), job("a"))

    assert scene.batches() == []


def test_a_new_device_is_shown_before_anything_runs() -> None:
    assert leased(Scene(target(devices=("x",)))) == {"x": ""}


def test_an_unchanged_device_is_not_written_again() -> None:
    device = {"name": "x", "address": "x:5555", "state": "Free", "batch": ""}
    status = {"slots": 1, "running": 0, "waiting": 0, "devices": [device]}

    assert Scene(target(devices=("x",), status=status)).updates() == []


def ended_on(device: str, name: str, finished: float, **status: object) -> BatchView:
    return batch(name=name, device=device, phase="Failed", pod="p", finishTime=at(finished), **status)


def test_a_phone_that_failed_its_last_batch_is_tried_after_the_others() -> None:
    """It fails fast, so it is always the first one free; all that waits would be charged for it."""
    dead = ended_on("x", "tb-1", 0, reason="InstallFailed")
    scene = Scene(target(devices=("x", "y", "z")), dead, job("a"))

    assert leased(scene) == {"x": "", "y": "tb-new-1", "z": ""}


def test_of_phones_that_all_failed_the_one_that_did_so_longest_ago_is_tried_first() -> None:
    scene = Scene(
        target(devices=("x", "y")),
        ended_on("x", "tb-1", 5, reason="DeviceLost", installSeconds=1.0),
        ended_on("y", "tb-2", 2, reason="DeviceLost", installSeconds=1.0),
        job("a"),
    )

    assert leased(scene) == {"x": "", "y": "tb-new-1"}


def test_a_batch_that_went_well_since_restores_the_trust() -> None:
    scene = Scene(
        target(devices=("x", "y")),
        ended_on("x", "tb-1", 1, reason="InstallFailed"),
        batch(name="tb-2", device="x", phase="Completed", pod="p", finishTime=at(3), installSeconds=1.0),
        job("a"),
    )

    assert leased(scene) == {"x": "tb-new-1", "y": ""}
