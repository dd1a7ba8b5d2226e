"""A project's npm packages, with the real npm where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from testrunner.cache import Cache
from testrunner.drivers.base import SubmitterError
from testrunner.sources.packages import Packages
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"PATH": os.environ["PATH"]}
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")


class Projects:
    """Projects that all need one package, which is a file: nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache", 10_000_000)
        self.environment = {**ENVIRONMENT, "HOME": str(folder)}
        package = folder / "package"
        package.mkdir()
        (package / "package.json").write_text(json.dumps({"name": "tool", "version": "1.0.0"}))
        (package / "index.js").write_text("module.exports = 42;\n")
        self._npm(package, "pack", "--pack-destination", str(folder))
        self.log: list[str] = []
        self._template = self._new("template")
        self._npm(self._template, "install", "--package-lock-only", "--offline", "../tool-1.0.0.tgz")

    def project(self, name: str) -> Path:
        return self._new(name, self._template)

    def provide(self, project: Path, packages: Packages | None = None) -> None:
        self.log.clear()
        packages = packages or Packages(self.cache, self.environment)
        packages.provide(project, stop=StopToken(), log=self.log.append)

    def _new(self, name: str, like: Path | None = None) -> Path:
        project = self.folder / name
        project.mkdir()
        if like is None:
            (project / "package.json").write_text(json.dumps({"name": "tests", "version": "1.0.0"}))
            return project
        for file in ("package.json", "package-lock.json"):
            shutil.copy(like / file, project)
        return project

    def _npm(self, folder: Path, *arguments: str) -> None:
        subprocess.run(["npm", *arguments], cwd=folder, env=self.environment, check=True, capture_output=True)


@pytest.fixture
def projects(tmp_path: Path) -> Projects:
    return Projects(tmp_path)


def required(project: Path) -> str:
    done = subprocess.run(
        ["node", "-p", "require('tool')"],
        cwd=project,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@needs_npm
def test_what_a_lock_file_names_is_installed_once(projects: Projects) -> None:
    first, second = projects.project("first"), projects.project("second")

    projects.provide(first)
    assert projects.log == ["installing the project's npm packages, by its lock file"]
    projects.provide(second)
    assert projects.log == ["the project's npm packages are in the cache"]

    assert [required(first), required(second)] == ["42", "42"]


@needs_npm
def test_another_lock_file_is_another_entry(projects: Projects) -> None:
    first, second = projects.project("first"), projects.project("second")
    projects.provide(first)
    lock = second / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")

    projects.provide(second)

    assert projects.log == ["installing the project's npm packages, by its lock file"]


@needs_npm
def test_what_a_batch_uses_is_not_evicted(projects: Projects) -> None:
    projects.provide(projects.project("first"))
    user = Packages(projects.cache, projects.environment)
    second = projects.project("second")
    projects.provide(second, user)

    full = Cache(projects.folder / "cache", 1)
    with full.entry("another", stop=StopToken()) as entry, full.scratch() as scratch:
        full.replace(entry, scratch)

    assert required(second) == "42"


@needs_npm
def test_a_lock_file_that_does_not_fit_is_the_submitters_mistake(projects: Projects) -> None:
    project = projects.project("first")
    package = json.loads((project / "package.json").read_text())
    package["dependencies"]["another"] = "file:../tool-1.0.0.tgz"
    (project / "package.json").write_text(json.dumps(package))

    with pytest.raises(SubmitterError, match="npm ci") as raised:
        projects.provide(project)

    assert raised.value.reason == "SourceInvalid"


@needs_npm
def test_a_project_with_packages_of_its_own_is_left_alone(projects: Projects) -> None:
    project = projects.project("first")
    (project / "node_modules").mkdir()

    projects.provide(project)

    assert projects.log == []
    assert list((project / "node_modules").iterdir()) == []


def test_an_image_without_npm_says_so(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    log: list[str] = []

    Packages(Cache(tmp_path / "cache", 1), {"PATH": "/nowhere"}).provide(
        tmp_path, stop=StopToken(), log=log.append
    )

    assert log == ["the packages of package-lock.json are not installed: this image has no npm"]


def test_another_tools_lock_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "yarn.lock").touch()
    log: list[str] = []

    Packages(Cache(tmp_path / "cache", 1), ENVIRONMENT).provide(tmp_path, stop=StopToken(), log=log.append)

    assert log == ["the packages of yarn.lock are not installed: only npm's lock file is known"]
