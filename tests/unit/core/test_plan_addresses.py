"""One phone under two names serves one batch at a time."""

from __future__ import annotations

from typing import Any

from testqueue.core.addresses import is_taken
from testqueue.core.model import Key, TargetView

from .objects import NAMESPACE, batch, job, target
from .planning import Scene

PHONE = "10.0.0.7:5555"


def named(name: str, *devices: str, lease: dict[str, Any] | None = None) -> TargetView:
    """A target whose devices are all the same phone; `lease` is what its status says."""
    listed = [{"name": each, "address": PHONE} for each in devices]
    return target(name, provider={"devices": listed}, status={"devices": [lease] if lease else []})


def busy(name: str, by: str = "tb-1") -> dict[str, Any]:
    return {"name": name, "address": PHONE, "state": "Busy", "batch": by}


def test_two_targets_lease_a_shared_phone_one_after_the_other() -> None:
    scene = Scene(
        named("phones", "x"), named("tablets", "y"), job("a", target="phones"), job("b", target="tablets")
    )

    assert len(scene.created()) == 1


def test_a_batch_of_the_other_target_keeps_it() -> None:
    scene = Scene(
        named("phones", "x"),
        named("tablets", "y", lease=busy("y")),
        batch(target="tablets", device="y", address=PHONE, phase="Running", pod="p"),
        job("a", target="phones"),
    )

    assert scene.created() == []


def test_a_lease_whose_batch_is_not_seen_keeps_it_too() -> None:
    scene = Scene(named("phones", "x"), named("tablets", "y", lease=busy("y")), job("a", target="phones"))

    assert scene.created() == []


def test_it_is_free_once_that_batch_is_over() -> None:
    scene = Scene(
        named("phones", "x"),
        named("tablets", "y", lease=busy("y")),
        batch(target="tablets", device="y", address=PHONE, phase="Completed", pod="p"),
        job("a", target="phones"),
    )

    assert len(scene.created()) == 1


def test_a_phone_that_got_a_new_name_while_busy_is_not_leased_under_it() -> None:
    scene = Scene(
        named("phones", "new", lease=busy("old")),
        batch(device="old", address=PHONE, phase="Running", pod="p"),
        job("a"),
    )
    (update,) = scene.updates()

    assert {lease.name: lease.batch for lease in update.leases} == {"new": "", "old": "tb-1"}


def test_two_names_in_one_target_get_one_batch() -> None:
    """The schema refuses that by now."""
    scene = Scene(named("phones", "x", "y"), job("a", app="shop-1"), job("b", app="shop-2"))

    assert len(scene.created()) == 1


def test_a_busy_device_keeps_the_address_that_its_batch_began_with() -> None:
    moved = target(devices=("x",), status={"devices": [busy("x")]})
    scene = Scene(moved, batch(device="x", address=PHONE, phase="Running", pod="p"))
    (update,) = scene.updates()

    assert update.leases[0].address == PHONE


def test_people_are_told_that_a_phone_is_shared() -> None:
    scene = Scene(named("phones", "x"), named("tablets", "y"))
    messages = {update.target.name: update.leases[0].message for update in scene.updates()}

    assert messages == {
        "phones": "serves one batch at a time with y of tablets: the same address",
        "tablets": "serves one batch at a time with x of phones: the same address",
    }


def test_a_batch_knows_whom_it_must_ask_before_it_begins() -> None:
    scene = Scene(named("phones", "x"), named("tablets", "y"), job("a", target="phones"))

    (created,) = scene.created()

    assert created.rivals == (Key(NAMESPACE, "tablets"),)


def test_a_lease_that_a_live_look_shows_at_a_rival_counts_while_its_batch_may_run() -> None:
    rival = named("tablets", "y", lease=busy("y"))

    assert is_taken(PHONE, [rival], lambda batch: batch == Key(NAMESPACE, "tb-1"))
    assert not is_taken(PHONE, [rival], lambda _: False)
    assert not is_taken("10.0.0.8:5555", [rival], lambda _: True)
