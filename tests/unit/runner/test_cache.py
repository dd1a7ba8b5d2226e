"""The cache that outlives batches."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from qgjob.api.stores import Cache as CacheSettings
from testrunner.cache import ABANDONED_SECONDS, Cache, CacheBusy
from testrunner.drivers.base import Stopped
from testrunner.stop import StopToken
from tests.unit.runner.deep import make_deep

if TYPE_CHECKING:
    from pathlib import Path


def fill(cache: Cache, name: str, size: int) -> Path:
    with cache.entry(name, stop=StopToken()) as entry, cache.scratch() as scratch:
        (scratch / "file").write_bytes(b"x" * size)
        cache.replace(entry, scratch)
    return entry


def test_an_entry_is_there_for_the_next(tmp_path: Path) -> None:
    fill(Cache(tmp_path, 1000), "a", 10)

    with Cache(tmp_path, 1000).using("a", stop=StopToken()) as entry:
        assert (entry / "file").read_bytes() == b"x" * 10


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 250)
    first, second = fill(cache, "first", 100), fill(cache, "second", 100)
    with cache.using("first", stop=StopToken()):
        pass

    third = fill(cache, "third", 100)

    assert [path.exists() for path in (first, second, third)] == [True, False, True]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 150)
    first = fill(cache, "first", 100)

    with cache.using("first", stop=StopToken()):
        fill(cache, "second", 100)
        assert (first / "file").exists()


def test_a_filling_that_comes_to_no_end_leaves_what_there_was(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    entry = fill(cache, "a", 10)

    with cache.entry("a", stop=StopToken()), cache.scratch() as scratch:
        (scratch / "half").touch()

    assert [path.name for path in entry.iterdir()] == ["file"]
    assert list(tmp_path.glob(".new-*")) == []


def test_an_entry_whose_filler_was_killed_before_it_noted_the_size_counts_all_the_same(
    tmp_path: Path,
) -> None:
    cache = Cache(tmp_path, 250)
    first = fill(cache, "first", 200)
    first.with_suffix(".size").unlink()

    fill(cache, "second", 100)

    assert not first.exists()


def test_nothing_of_an_evicted_entry_is_left(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 150)
    fill(cache, "first", 100)

    second = fill(cache, "second", 100)

    assert {path.stem for path in tmp_path.iterdir()} == {second.name}


def test_the_lock_of_what_never_came_is_removed_some_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    with cache.entry("a version that does not exist", stop=StopToken()) as entry:
        lock = entry.with_suffix(".lock")
    long_ago = lock.stat().st_mtime - 2 * ABANDONED_SECONDS
    os.utime(lock, (long_ago, long_ago))

    fill(cache, "another", 10)

    assert not lock.exists()


def test_two_pods_fill_an_entry_one_after_the_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with Cache(tmp_path, 1000).entry("a", stop=StopToken()):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1


def test_an_entry_that_another_pod_keeps_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000, patience=0.3)

    with (
        cache.entry("a", stop=StopToken()),
        pytest.raises(CacheBusy),
        Cache(tmp_path, 1000, patience=0.3).entry("a", stop=StopToken()),
    ):
        pass


def test_who_waits_for_an_entry_can_be_stopped(tmp_path: Path) -> None:
    stop = StopToken()
    stop.request("the pod ends")

    with (
        Cache(tmp_path, 1000).entry("a", stop=StopToken()),
        pytest.raises(Stopped, match="the pod ends"),
        Cache(tmp_path, 1000).entry("a", stop=stop),
    ):
        pass


def test_a_cache_that_can_not_be_written_is_told_of_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    log: list[str] = []

    assert Cache.find(CacheSettings(volume={}), str(tmp_path / "cache"), log.append) is None
    assert "can't be used, so this batch goes on without" in log[0]


def test_a_target_without_a_cache_has_none(tmp_path: Path) -> None:
    assert Cache.find(None, str(tmp_path), print) is None


def test_folders_deeper_than_any_path_that_a_test_left_there_keep_nothing_from_being_kept(
    tmp_path: Path,
) -> None:
    cache = Cache(tmp_path, 10)
    victim, left = fill(cache, "victim", 100), tmp_path / ".new-left"
    left.mkdir()
    for folder in (victim, left):
        make_deep(folder)
    victim.with_suffix(".size").unlink()
    os.utime(left, (0, 0))

    assert fill(cache, "next", 10).is_dir()

    assert not victim.exists()
    assert not left.exists()
