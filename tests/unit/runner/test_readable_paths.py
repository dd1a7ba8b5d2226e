"""Paths of the runner's folders, as they read in a status."""

from __future__ import annotations

from pathlib import Path

import pytest

from testrunner.readable_paths import ReadablePaths

WORKDIR = Path("/work/tb-1-x7")
PATHS = ReadablePaths(WORKDIR, WORKDIR / "sources" / "1" / "e2e", WORKDIR / "sources" / "1")


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("/work/tb-1-x7/sources/1/e2e/tests/a.spec.ts:3: no", "tests/a.spec.ts:3: no"),
        ("in /work/tb-1-x7/sources/1/lib.ts (/work/tb-1-x7/app/v1.apk)", "in lib.ts (app/v1.apk)"),
        ("at file:///work/tb-1-x7/sources/1/e2e/a.mjs:1:2", "at a.mjs:1:2"),
        ("no tests in '/work/tb-1-x7/sources/1/e2e'", "no tests in '.'"),
        ("/work/tb-1-x72/sources/1/a.ts", "/work/tb-1-x72/sources/1/a.ts"),
        ("/mnt/work/tb-1-x7/a.ts", "/mnt/work/tb-1-x7/a.ts"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_a_path_is_relative_to_the_deepest_folder_that_it_is_in(text: str, reads: str) -> None:
    assert PATHS.text(text) == reads


def test_a_folder_that_is_a_link_is_known_by_both_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    paths = ReadablePaths(tmp_path / "link")

    assert paths.text(f"{tmp_path}/real/a.ts and {tmp_path}/link/b.ts") == "a.ts and b.ts"


def test_the_root_is_no_folder_of_the_runner() -> None:
    assert ReadablePaths(Path("/")).text("/etc/hosts") == "/etc/hosts"


def test_without_folders_nothing_changes() -> None:
    assert ReadablePaths().text("/work/a.ts") == "/work/a.ts"
