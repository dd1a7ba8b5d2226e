"""A project's npm packages, with the real npm where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from testrunner.cache import Cache
from testrunner.drivers.base import InfrastructureError, SubmitterError
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

    assert log == [
        "the packages of package-lock.json are not installed: this image has no Node (docs/sources.md)"
    ]


class Tools:
    """Programs as an image has them: each notes its arguments, and does what it is told in shell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._calls = folder / "calls"
        for name in ("mkdir", "touch"):
            (self._bin / name).symlink_to(shutil.which(name) or name)
        self.add("node", "echo v22.0.0")

    def add(self, name: str, does: str) -> None:
        program = self._bin / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._calls}\n{does}\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        return [line for line in self._calls.read_text().splitlines() if not line.startswith("node ")]

    def provide(self, project: Path) -> list[str]:
        log: list[str] = []
        cache = Cache(self._folder / "cache", 10_000_000)
        Packages(cache, {"PATH": str(self._bin)}).provide(project, stop=StopToken(), log=log.append)
        return log


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)


def project_with(folder: Path, lock: str, text: str = "") -> Path:
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    (folder / lock).write_text(text)
    return folder


INSTALLS = "mkdir -p node_modules/tool && echo 'module.exports = 42' > node_modules/tool/index.js"


@pytest.mark.parametrize(("program", "lock"), [("pnpm", "pnpm-lock.yaml"), ("yarn", "yarn.lock")])
def test_pnpm_and_yarn_install_what_their_lock_files_say_once(
    tools: Tools, tmp_path: Path, program: str, lock: str
) -> None:
    tools.add(program, INSTALLS)
    first, second = project_with(tmp_path / "first", lock), project_with(tmp_path / "second", lock)

    assert tools.provide(first) == ["installing the project's npm packages, by its lock file"]
    assert tools.provide(second) == ["the project's npm packages are in the cache"]

    assert tools.calls() == [f"{program} install --frozen-lockfile"]
    assert (second / "node_modules/tool/index.js").is_file()


def test_corepack_stands_in_for_a_manager_that_the_image_lacks(tools: Tools, tmp_path: Path) -> None:
    tools.add("corepack", INSTALLS)

    tools.provide(project_with(tmp_path / "project", "pnpm-lock.yaml"))

    assert tools.calls() == ["corepack pnpm install --frozen-lockfile"]


def test_a_manager_that_the_image_lacks_is_named(tools: Tools, tmp_path: Path) -> None:
    log = tools.provide(project_with(tmp_path / "project", "yarn.lock"))

    assert log == ["the packages of yarn.lock are not installed: this image has no yarn (docs/sources.md)"]


@pytest.mark.parametrize(
    ("lock", "program", "says"),
    [
        ("pnpm-lock.yaml", "pnpm", "ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile"),
        (
            "yarn.lock",
            "yarn",
            "error Your lockfile needs to be updated, but yarn was run with --frozen-lockfile.",
        ),
        ("yarn.lock", "yarn", "YN0028: The lockfile would have been modified by this install"),
    ],
)
def test_their_lock_files_that_do_not_fit_are_the_submitters_mistake(
    tools: Tools, tmp_path: Path, lock: str, program: str, says: str
) -> None:
    tools.add(program, f"echo '{says}'; exit 1")

    with pytest.raises(SubmitterError, match=f"{program} install: ") as raised:
        tools.provide(project_with(tmp_path / "project", lock))

    assert raised.value.reason == "SourceInvalid"


def test_a_registry_that_is_away_is_infrastructure(tools: Tools, tmp_path: Path) -> None:
    tools.add("pnpm", "echo 'ERR_PNPM_META_FETCH_FAIL  GET https://registry.example.com'; exit 1")

    with pytest.raises(InfrastructureError, match="ERR_PNPM_META_FETCH_FAIL"):
        tools.provide(project_with(tmp_path / "project", "pnpm-lock.yaml"))


def test_yarn_without_node_modules_is_told_which_setting_makes_them(tools: Tools, tmp_path: Path) -> None:
    tools.add("yarn", "touch .pnp.cjs")

    with pytest.raises(SubmitterError, match="set nodeLinker to node-modules"):
        tools.provide(project_with(tmp_path / "project", "yarn.lock"))


@pytest.mark.parametrize("text", ["dependencies:\n  lib:\n    version: link:../lib\n", ""])
def test_workspaces_are_installed_each_time(tools: Tools, tmp_path: Path, text: str) -> None:
    tools.add("pnpm", INSTALLS)
    projects = [project_with(tmp_path / name, "pnpm-lock.yaml", text) for name in ("one", "two")]
    if not text:
        for project in projects:
            (project / "package.json").write_text('{"workspaces": ["lib"]}')

    for project in projects:
        tools.provide(project)

    assert len(tools.calls()) == 2
