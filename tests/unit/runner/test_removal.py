"""Removing what tests have made."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from testrunner.removal import remove
from tests.unit.runner.deep import make_deep

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make_deep(folder)

    remove(folder)

    assert not folder.exists()


def test_what_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("kept")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for place in ("link", "folder/link", "folder/inner/link"):
        (tmp_path / place).symlink_to(tmp_path / "else")

    remove(tmp_path / "folder")
    remove(tmp_path / "link")

    assert [path.name for path in tmp_path.iterdir()] == ["else"]
    assert (tmp_path / "else" / "file").read_text() == "kept"


def test_a_folder_that_was_made_unreadable_is_removed(tmp_path: Path) -> None:
    inner = tmp_path / "folder" / "inner" / "more"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    for folder in (inner, inner.parent, inner.parent.parent):
        folder.chmod(0)

    remove(tmp_path / "folder")

    assert not (tmp_path / "folder").exists()


def test_what_is_gone_already_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")


def test_a_link_that_is_put_there_meanwhile_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").touch()
    inner = [tmp_path / "folder" / name for name in "ab"]
    for each in inner:
        each.mkdir(parents=True)
        for number in range(3000):
            (each / f"{number}").touch()

    def untouched() -> list[Path]:
        return [each for each in inner if (each / "0").exists() and (each / "2999").exists()]

    def exchange() -> None:
        """As soon as one of them is being emptied, the other gives way to a link."""
        while len(left := untouched()) == 2:
            pass
        for each in left:
            each.rename(tmp_path / "aside")
            each.symlink_to(victim)

    thread = threading.Thread(target=exchange)
    thread.start()
    with suppress(OSError):
        remove(tmp_path / "folder")
    thread.join()

    assert (victim / "file").exists()
