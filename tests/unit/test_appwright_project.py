"""A user's project made ready for Playwright."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from testrunner.appwright.kit import Kit
from testrunner.appwright.project import GENERATED, Project, ProjectError, prepare

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    (tmp_path / "kit" / "node_modules" / "appwright").mkdir(parents=True)
    return Kit(tmp_path / "kit")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    return source


def make(source: Path, kit: Kit, config: str = "appwright.config.ts") -> Project:
    return prepare(source, config=config, kit=kit, scratch=source.parent / "scratch")


def test_the_projects_own_configuration_is_wrapped(source: Path, kit: Kit) -> None:
    (source / "appwright.config.ts").write_text("export default {};")

    project = make(source, kit)

    assert project.config == source / GENERATED
    assert 'import config from "./appwright.config.ts";' in project.config.read_text()


def test_a_project_without_one_gets_the_kits(source: Path, kit: Kit) -> None:
    assert str(kit.default_config) in make(source, kit).config.read_text()


def test_a_configuration_that_was_named_must_be_there(source: Path, kit: Kit) -> None:
    with pytest.raises(ProjectError, match=r"e2e\.config\.ts"):
        make(source, kit, "e2e.config.ts")


def test_tests_import_the_kits_appwright(source: Path, kit: Kit) -> None:
    make(source, kit)

    assert (source / "node_modules").resolve() == kit.home / "node_modules"


def test_a_project_with_its_own_packages_runs_its_own_playwright(source: Path, kit: Kit) -> None:
    own = source / "node_modules" / "@playwright" / "test" / "cli.js"
    own.parent.mkdir(parents=True)
    own.write_text("")
    (source / "node_modules" / "appwright").mkdir()

    assert make(source, kit).cli == own


def test_packages_without_appwright_are_refused(source: Path, kit: Kit) -> None:
    (source / "node_modules").mkdir()

    with pytest.raises(ProjectError, match="without appwright"):
        make(source, kit)


@pytest.mark.parametrize(
    ("other", "matches"),
    [
        ("tests/a.spec.ts", True),
        ("tests/aa.spec.ts", False),
        ("tests/a.spec.tsx", False),
        ("tests/axspec.ts", False),
    ],
)
def test_the_filter_matches_one_file_only(source: Path, kit: Kit, other: str, matches: bool) -> None:
    pattern = make(source, kit).filter("tests/a.spec.ts")

    assert bool(re.search(pattern.strip("/").replace(r"\/", "/"), str(source / other))) == matches


def test_a_line_of_the_file_can_be_chosen(source: Path, kit: Kit) -> None:
    assert make(source, kit).filter("tests/a.spec.ts:12").endswith("$/:12")


def test_what_a_test_did_to_the_copy_of_a_read_only_project_is_undone_for_the_next(
    source: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "tests").mkdir()
    for name in ("changed", "removed"):
        (source / "tests" / name).write_text("original")
    monkeypatch.setattr(os, "access", lambda *_: False)
    copy = make(source, kit).folder
    (copy / "tests" / "changed").write_text("0riginal")
    (copy / "tests" / "removed").unlink()
    (copy / "added").touch()

    project = make(source, kit)

    assert (project.folder, project.config.is_file()) == (copy, True)
    assert [(copy / "tests" / name).read_text() for name in ("changed", "removed")] == ["original"] * 2
    assert not (copy / "added").exists()
    assert (copy / "node_modules").resolve() == kit.home / "node_modules"
