"""AppWright and Playwright that a project brings: which pairs can't work, and what is said of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from testrunner.appwright.pairs import WORKS, problem

if TYPE_CHECKING:
    from pathlib import Path


def install(project: Path, name: str, version: str) -> None:
    folder = project / "node_modules" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))


@pytest.mark.parametrize(
    ("appwright", "playwright"), [("0.1.1", "1.60.0"), ("0.1.0", "1.61.2"), ("0.0.33", "2.0.0")]
)
def test_a_pair_that_cannot_work_is_named_with_what_to_pin(
    tmp_path: Path, appwright: str, playwright: str
) -> None:
    install(tmp_path, "appwright", appwright)
    install(tmp_path, "@playwright/test", playwright)

    said = problem(tmp_path)

    assert f"appwright {appwright} can't work with @playwright/test {playwright}" in said
    assert f'"@playwright/test": "{WORKS}" exactly' in said


@pytest.mark.parametrize(
    ("appwright", "playwright"), [("0.1.1", "1.59.1"), ("0.1.1", "1.46.1"), ("0.2.0", "1.60.0")]
)
def test_a_pair_that_may_work_is_let_through(tmp_path: Path, appwright: str, playwright: str) -> None:
    install(tmp_path, "appwright", appwright)
    install(tmp_path, "@playwright/test", playwright)

    assert problem(tmp_path) == ""


def test_two_playwrights_in_one_project_are_told(tmp_path: Path) -> None:
    install(tmp_path, "appwright", "0.1.1")
    install(tmp_path, "@playwright/test", "1.40.0")
    install(tmp_path, "appwright/node_modules/@playwright/test", "1.59.1")

    assert "has @playwright/test 1.40.0, but its appwright 0.1.1 brings 1.59.1" in problem(tmp_path)


def test_appwrights_own_playwright_counts_where_the_project_names_none(tmp_path: Path) -> None:
    install(tmp_path, "appwright", "0.1.1")
    install(tmp_path, "appwright/node_modules/@playwright/test", "1.61.0")

    assert "@playwright/test 1.61.0" in problem(tmp_path)


def test_a_project_without_packages_runs_the_kits(tmp_path: Path) -> None:
    assert problem(tmp_path) == ""
