"""An attempt's folder: which files of it are stored, and what is done to them before."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from testrunner.artifacts.content_types import content_type
from testrunner.artifacts.contents import choose, prepare, put
from testrunner.artifacts.tree import File, Tree
from testrunner.masking import Masks
from testrunner.readable_paths import ReadablePaths
from testrunner.removal import remove
from tests.unit.runner.deep import make_deep
from tests.unit.runner.limits import largest_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    (folder / "html" / "data").mkdir(parents=True)
    (folder / "junit.xml").write_text("<testsuite/>")
    (folder / "html" / "data" / "a.png").write_bytes(b"\x89PNG\0")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def names(folder: Path) -> list[str]:
    return [file.name for file in Tree(folder).files()]


def test_files_are_found_in_all_folders(folder: Path) -> None:
    assert Tree(folder).files() == [File("html/data/a.png", 5), File("junit.xml", 12)]


def test_folders_that_are_nested_without_end_hide_no_other_file(folder: Path) -> None:
    make_deep(folder)

    assert names(folder) == ["html/data/a.png", "junit.xml"]
    remove(folder)


def test_no_more_folders_are_looked_at_than_may_hold_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testrunner.artifacts.tree.MAX_FILES", 10)
    for number in range(20):
        (folder / f"many-{number:02}").mkdir()
    (folder / "many-19" / "late.txt").touch()

    assert "junit.xml" in names(folder)
    assert "many-19/late.txt" not in names(folder)


def test_links_pipes_and_odd_names_are_not_among_them(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    (folder / "link.txt").symlink_to(secret / "key")
    (folder / "linked").symlink_to(secret)
    os.mkfifo(folder / "pipe")
    (folder / "line\nbreak").touch()
    (folder / os.fsdecode(b"no-\xff-text")).touch()
    # Whoever downloads to another system would be led out of a folder by these.
    (folder / "back\\slash").touch()
    (folder / "C:drive").touch()

    assert names(folder) == ["html/data/a.png", "junit.xml"]


@pytest.mark.parametrize(
    "name", ["link.txt", "linked/key", "../secret/key", "/etc/passwd", "html/../junit.xml", ""]
)
def test_nothing_outside_of_the_folder_is_opened(folder: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    (folder / "link.txt").symlink_to(secret / "key")
    (folder / "linked").symlink_to(secret)

    with pytest.raises(OSError, match=r".*"), Tree(folder).open(name):
        pass


def test_a_file_of_the_runner_takes_the_place_of_a_link_and_not_of_what_it_leads_to(
    folder: Path, tmp_path: Path, scratch: Path
) -> None:
    (tmp_path / "victim").write_text("untouched")
    (folder / "attempt.json").symlink_to(tmp_path / "victim")

    put(Tree(folder), "attempt.json", "{}", scratch)

    assert (tmp_path / "victim").read_text() == "untouched"
    assert (folder / "attempt.json").read_text() == "{}"


def test_the_largest_are_left_out_until_the_rest_fits() -> None:
    files = [File("a.mp4", 70), File("b.mp4", 60), File("c.png", 20), File("log.txt", 15)]

    assert choose(files, 165) == []
    assert choose(files, 100) == [File("a.mp4", 70)]
    assert choose(files, 35) == [File("a.mp4", 70), File("b.mp4", 60)]


def test_what_is_left_out_is_named(folder: Path, scratch: Path) -> None:
    (folder / "video.mp4").write_bytes(b"\0" * 5000)

    prepare(folder, masks=Masks(), paths=ReadablePaths(), max_bytes=100, scratch=scratch)

    assert names(folder) == ["html/data/a.png", "junit.xml", "left-out.txt"]
    said = (folder / "left-out.txt").read_text()
    assert "video.mp4 (5000 bytes)" in said
    assert "maxBytesPerAttempt" in said


def test_what_is_left_out_is_not_copied_first_to_be_masked(folder: Path, scratch: Path) -> None:
    (folder / "huge.log").write_text("hunter2 " * 1000)

    prepare(folder, masks=Masks(["hunter2"]), paths=ReadablePaths(), max_bytes=100, scratch=scratch)

    assert "huge.log (8000 bytes)" in (folder / "left-out.txt").read_text()


def test_a_disk_that_is_full_is_not_filled_further(folder: Path, scratch: Path) -> None:
    (folder / "huge.log").write_text("hunter2 " * 100_000)

    with largest_file(100_000), pytest.raises(OSError, match="File too large"):
        prepare(folder, masks=Masks(["hunter2"]), paths=ReadablePaths(), max_bytes=10**9, scratch=scratch)

    assert list(scratch.iterdir()) == []


def test_text_is_masked_and_other_files_stay_as_they_are(folder: Path, scratch: Path) -> None:
    (folder / "junit.xml").write_text('<failure message="typed hunter2&amp;more"/>')
    (folder / "video.mp4").write_bytes(b"\0\1hunter2&more")
    with zipfile.ZipFile(folder / "trace.zip", "w") as archive:
        archive.writestr("log", "x")
    before = (folder / "trace.zip").read_bytes()

    prepare(folder, masks=Masks(["hunter2&more"]), paths=ReadablePaths(), max_bytes=10_000, scratch=scratch)

    assert (folder / "junit.xml").read_text() == '<failure message="typed ***"/>'
    assert (folder / "video.mp4").read_bytes() == b"\0\1hunter2&more"
    assert (folder / "trace.zip").read_bytes() == before
    assert list(scratch.iterdir()) == []


def test_reports_have_paths_in_the_source_and_other_files_those_of_the_pod(
    folder: Path, scratch: Path, tmp_path: Path
) -> None:
    source = tmp_path / "sources" / "1"
    (folder / "junit.xml").write_text(f'<failure message="{source}/tests/a.spec.ts:3: no"/>')
    (folder / "latin.xml").write_bytes(b"<failure message='\xe9'/>")
    (folder / "log.txt").write_text(f"at {source}/tests/a.spec.ts:3")

    prepare(folder, masks=Masks(), paths=ReadablePaths(source), max_bytes=10_000, scratch=scratch)

    assert (folder / "junit.xml").read_text() == '<failure message="tests/a.spec.ts:3: no"/>'
    assert (folder / "latin.xml").read_bytes() == b"<failure message='\xe9'/>"
    assert (folder / "log.txt").read_text() == f"at {source}/tests/a.spec.ts:3"
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("html-report/index.html", "text/html; charset=utf-8"),
        ("junit.xml", "application/xml"),
        ("log.txt", "text/plain; charset=utf-8"),
        ("device.log", "text/plain; charset=utf-8"),
        ("videos-store/a.MP4", "video/mp4"),
        ("shot.png", "image/png"),
        ("core", "application/octet-stream"),
    ],
)
def test_a_browser_is_told_what_a_file_is(name: str, kind: str) -> None:
    assert content_type(name) == kind


def test_a_file_with_holes_is_left_out_before_it_is_written_in_full(folder: Path, scratch: Path) -> None:
    (folder / "huge.txt").write_text("x" * 10_000)
    os.truncate(folder / "huge.txt", 1 << 40)

    prepare(folder, masks=Masks(["hunter2"]), paths=ReadablePaths(), max_bytes=1_000_000, scratch=scratch)

    assert "huge.txt (1099511627776 bytes)" in (folder / "left-out.txt").read_text()
    assert not (folder / "huge.txt").exists()
