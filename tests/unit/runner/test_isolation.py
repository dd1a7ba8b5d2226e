"""What one test leaves on the machine, and what the next one finds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from testrunner import isolation
from testrunner.isolation import Isolation
from tests.unit.runner.deep import make_deep


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "tests" / "data").mkdir(parents=True)
    (source / "tests" / "a.py").write_text("original")
    (source / "tests" / "data" / "users.json").write_text("[]")
    (source / "link").symlink_to("tests")
    return source


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def isolated(tmp_path: Path, lines: list[str]) -> Isolation:
    return Isolation(tmp_path / "work", lines.append)


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_each_run_has_an_empty_temporary_folder_which_goes_with_it(source: Path, isolated: Isolation) -> None:
    with isolated.around(source) as first:
        Path(first["TMPDIR"], "left").touch()
    with isolated.around(source) as second:
        assert list(Path(second["TMPDIR"]).iterdir()) == []

    assert not Path(first["TMPDIR"]).exists()


def test_what_a_test_changes_adds_and_removes_in_its_source_is_put_back(
    source: Path, isolated: Isolation
) -> None:
    before = content(source)

    with isolated.around(source):
        (source / "tests" / "a.py").write_text("0riginal")
        (source / "tests" / "data" / "users.json").unlink()
        (source / "tests" / "data").rmdir()
        (source / "link").unlink()
        (source / "link").mkdir()
        (source / "link" / "deep").mkdir()
        (source / "link" / "deep" / "file").touch()
        (source / "new.txt").touch()

    assert content(source) == before
    assert not (source / "new.txt").exists()


def test_a_change_that_hides_its_time_is_put_back_too(source: Path, isolated: Isolation) -> None:
    file = source / "tests" / "a.py"
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)

    with isolated.around(source):
        file.write_text("0riginal")
        os.utime(file, ns=times)

    assert file.read_text() == "original"


def test_every_run_is_put_back_not_only_the_first(source: Path, isolated: Isolation) -> None:
    for _ in range(2):
        with isolated.around(source):
            (source / "tests" / "a.py").write_text("changed")

    assert (source / "tests" / "a.py").read_text() == "original"


def test_it_is_put_back_after_a_run_that_ended_by_an_error_too(source: Path, isolated: Isolation) -> None:
    def fail() -> None:
        (source / "new.txt").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError), isolated.around(source):
        fail()

    assert not (source / "new.txt").exists()


def test_what_was_made_read_only_is_put_back_too(source: Path, isolated: Isolation) -> None:
    with isolated.around(source):
        (source / "new").mkdir()
        (source / "new" / "file").touch()
        (source / "tests" / "data" / "users.json").write_text("[1]")
        for folder in (source / "new", source / "tests" / "data"):
            folder.chmod(0o555)

    assert not (source / "new").exists()
    assert (source / "tests" / "data" / "users.json").read_text() == "[]"
    assert (source / "tests" / "data").stat().st_mode & 0o200


def test_what_a_link_in_the_sources_place_leads_to_is_left_alone(
    tmp_path: Path, source: Path, isolated: Isolation
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()

    with isolated.around(source):
        shutil.rmtree(source)
        source.symlink_to(elsewhere)

    assert (elsewhere / "precious").exists()
    assert (source / "tests" / "a.py").read_text() == "original"


def test_dependencies_and_caches_are_kept(source: Path, isolated: Isolation) -> None:
    with isolated.around(source):
        (source / "node_modules" / "left-pad").mkdir(parents=True)

    assert (source / "node_modules" / "left-pad").exists()


def test_a_source_that_was_removed_altogether_comes_back(source: Path, isolated: Isolation) -> None:
    before = content(source)

    with isolated.around(source):
        shutil.rmtree(source)

    assert content(source) == before


def test_a_large_source_is_left_alone_and_the_log_says_so(
    source: Path, isolated: Isolation, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "MAX_BYTES", 5)

    with isolated.around(source):
        (source / "new.txt").touch()

    assert (source / "new.txt").exists()
    assert "the next one finds" in lines[0]


def test_folders_deeper_than_any_path_cost_neither_the_result_nor_the_next_test(
    isolated: Isolation, source: Path
) -> None:
    with isolated.around(source) as own:
        make_deep(Path(own["TMPDIR"]))

    assert not Path(own["TMPDIR"]).exists()
