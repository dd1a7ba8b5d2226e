"""From --test to test files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.cli.expand import expand

if TYPE_CHECKING:
    from pathlib import Path

FILES = (
    "tests/a.spec.ts",
    "tests/deep/b.spec.ts",
    "tests/[id].spec.ts",
    "node_modules/x/c.spec.ts",
    "README.md",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_a_pattern_means_the_files_that_it_matches(project: Path) -> None:
    assert expand(["tests/**/*.spec.ts"], project) == [
        "tests/[id].spec.ts",
        "tests/a.spec.ts",
        "tests/deep/b.spec.ts",
    ]


def test_dependencies_are_no_tests(project: Path) -> None:
    assert "node_modules/x/c.spec.ts" not in expand(["**/*.spec.ts"], project)


def test_folders_are_no_tests(project: Path) -> None:
    assert expand(["tests/*"], project) == ["tests/[id].spec.ts", "tests/a.spec.ts"]


def test_a_path_passes_through_whether_it_is_here_or_not(project: Path) -> None:
    assert expand(["only/in/the/image.spec.ts"], project) == ["only/in/the/image.spec.ts"]


def test_a_leading_dot_is_dropped(project: Path) -> None:
    assert expand(["./tests/a.spec.ts"], project) == ["tests/a.spec.ts"]


def test_a_file_whose_name_looks_like_a_pattern_stands_for_itself(project: Path) -> None:
    assert expand(["tests/[id].spec.ts"], project) == ["tests/[id].spec.ts"]


def test_a_test_that_two_patterns_match_is_there_once(project: Path) -> None:
    assert expand(["tests/a*", "tests/*.spec.ts"], project) == ["tests/a.spec.ts", "tests/[id].spec.ts"]


def test_a_pattern_that_matches_nothing_is_a_mistake(project: Path) -> None:
    with pytest.raises(ValueError, match=r"--test specs/\*\.ts: matches no file in /"):
        expand(["specs/*.ts"], project)


def test_a_path_given_twice_is_a_mistake(project: Path) -> None:
    with pytest.raises(ValueError, match="given twice"):
        expand(["a.ts", "a.ts"], project)


def test_only_packed_files_count_where_files_are_sent(project: Path) -> None:
    packed = {"tests/a.spec.ts"}
    assert expand(["tests/*.spec.ts"], project, packed=packed) == ["tests/a.spec.ts"]
    with pytest.raises(ValueError, match="git ignores it"):
        expand(["tests/deep/b.spec.ts"], project, packed=packed)
    with pytest.raises(ValueError, match="no such file"):
        expand(["tests/z.spec.ts"], project, packed=packed)
