"""Storing beside the tests: in order, again and again, within bounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from testrunner.masking import Masks
from tests.unit.runner.artifacts import StoreInHand, outbox, parcel
from tests.unit.runner.deep import make_deep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testrunner.stop import StopToken


def for_(seconds: float) -> Callable[[], float]:
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def test_parcels_are_stored_masked_and_their_folders_go(tmp_path: Path) -> None:
    store = StoreInHand()
    box, said = outbox(store, tmp_path / "scratch", masks=Masks(["hunter2"]))

    box.put(parcel(tmp_path, 1, log="typed hunter2"))
    box.put(parcel(tmp_path, 2, log="two"))
    box.finish(for_(30))

    assert store.kept == {
        "ns/pixels/2026-11-24/job-1-abc/1/log.txt": b"typed ***",
        "ns/pixels/2026-11-24/job-2-abc/1/log.txt": b"two",
    }
    assert said.getvalue() == ""
    assert list(tmp_path.glob("reports-*")) == []


def test_who_hands_over_does_not_wait_for_a_store_that_hangs(tmp_path: Path) -> None:
    store = StoreInHand()
    store.answers.clear()
    box, said = outbox(store, tmp_path / "scratch")

    began = time.monotonic()
    box.put(parcel(tmp_path, 1, log="one"))
    box.put(parcel(tmp_path, 2, log="two"))
    took = time.monotonic() - began
    assert store.tried.wait(30)
    began = time.monotonic()
    box.finish(for_(0.5))

    assert took < 1
    assert time.monotonic() - began < 5
    assert (
        "artifacts that could not be stored in time: job-1 (attempt 1), job-2 (attempt 1)" in said.getvalue()
    )
    store.answers.set()


def test_a_store_that_comes_back_gets_all_of_it(tmp_path: Path) -> None:
    store = StoreInHand()
    store.down = "connection refused"
    box, said = outbox(store, tmp_path / "scratch")

    box.put(parcel(tmp_path, 1, log="one"))
    box.put(parcel(tmp_path, 2, log="two"))
    assert store.tried.wait(30)
    store.down = ""
    box.finish(for_(30))

    assert len(store.kept) == 2
    assert said.getvalue().count("connection refused") == 1
    assert "could not be stored" not in said.getvalue()


def test_a_store_that_stays_away_is_told_with_the_reason(tmp_path: Path) -> None:
    store = StoreInHand()
    store.down = "connection refused"
    box, said = outbox(store, tmp_path / "scratch")

    box.put(parcel(tmp_path, 1, log="one"))
    box.finish(for_(1.5))

    assert said.getvalue().splitlines()[-1] == (
        "artifacts that could not be stored in time: job-1 (attempt 1): connection refused"
    )


def test_too_much_that_waits_costs_the_oldest(tmp_path: Path) -> None:
    store = StoreInHand()
    store.answers.clear()
    box, said = outbox(store, tmp_path / "scratch", max_waiting_bytes=250)

    box.put(parcel(tmp_path, 1, log="x" * 100))
    assert store.tried.wait(30)  # the first is on its way, and counts no longer
    for number in (2, 3, 4):
        box.put(parcel(tmp_path, number, log="x" * 100))
    store.answers.set()
    box.finish(for_(30))

    assert [key.split("/")[3] for key in store.kept] == ["job-1-abc", "job-3-abc", "job-4-abc"]
    assert "the artifacts of job-2 (attempt 1) are given up" in said.getvalue()
    assert not (tmp_path / "reports-2").exists()


def test_a_folder_that_vanished_costs_only_itself(tmp_path: Path) -> None:
    store = StoreInHand()
    box, _ = outbox(store, tmp_path / "scratch", masks=Masks(["hunter2"]))
    gone = parcel(tmp_path, 1, log="one")
    (gone.folder / "log.txt").unlink()
    gone.folder.rmdir()

    box.put(gone)
    box.put(parcel(tmp_path, 2, log="two"))
    box.finish(for_(30))

    assert list(store.kept) == ["ns/pixels/2026-11-24/job-2-abc/1/log.txt"]


def test_whatever_goes_wrong_with_one_parcel_the_next_is_stored(tmp_path: Path) -> None:
    class Odd(StoreInHand):
        def store(self, key: str, folder: Path, *, stop: StopToken, log: Callable[[str], None]) -> None:
            if "job-1-" in key:
                raise ValueError("nobody has thought of this")
            super().store(key, folder, stop=stop, log=log)

    store = Odd()
    box, said = outbox(store, tmp_path / "scratch")

    box.put(parcel(tmp_path, 1, log="one"))
    box.put(parcel(tmp_path, 2, log="two"))
    lost = box.finish(for_(30))

    assert [key.split("/")[3] for key in store.kept] == ["job-2-abc"]
    assert "job-1 (attempt 1)" in lost
    assert "nobody has thought of this" in said.getvalue()


def test_a_store_that_is_not_well_is_not_asked_to_prune(tmp_path: Path) -> None:
    well, unwell = StoreInHand(), StoreInHand()
    unwell.down = "connection refused"
    for number, store in enumerate((well, unwell)):
        box, _ = outbox(store, tmp_path / "scratch")
        box.put(parcel(tmp_path, number, log="one"))
        box.finish(for_(1.5))
        box.prune(for_(30))

    assert (well.prunes, unwell.prunes) == (1, 0)


def test_folders_deeper_than_any_path_keep_neither_their_attempt_nor_the_next_one_from_being_stored(
    tmp_path: Path,
) -> None:
    store = StoreInHand()
    box, said = outbox(store, tmp_path / "scratch", masks=Masks(["hunter2"]))
    deep = parcel(tmp_path, 1, log="one")
    make_deep(deep.folder)

    box.put(deep)
    box.put(parcel(tmp_path, 2, log="two"))
    box.finish(for_(30))

    assert sorted(store.kept.values()) == [b"one", b"two"]
    assert said.getvalue() == ""
    assert list(tmp_path.glob("reports-*")) == []
