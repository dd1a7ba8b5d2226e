"""The user's project as Playwright must find it: a configuration for this device, and AppWright to import."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ..drivers.base import SubmitterError
from ..isolation import put_back
from .kit import PLAYWRIGHT_CLI, Kit
from .pairs import problem

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_CONFIG: Final = "appwright.config.ts"
#: Written beside the project's own configuration, because paths in a configuration are relative to its folder.
GENERATED: Final = "qgjob.generated.config.ts"
#: Which of the kit's files adapts a configuration.
Adapter = Literal["on-device", "on-browserstack"]
_ENDINGS: Final = (".ts", ".mts", ".js", ".mjs", ".cjs")
_LINE: Final = re.compile(r"^(.*?)((?::\d+){1,2})?$")


class ProjectError(Exception):
    """The project can't be run as it is; its author can mend it. The text is for people."""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder in which Playwright can be started."""

    folder: Path
    config: Path
    cli: Path

    def filter(self, test: str) -> str:
        """The command line's filter for exactly this file (`tests/a.spec.ts`, or `…:12` for one line of it)."""
        split = _LINE.fullmatch(test)
        path, line = (split[1], split[2] or "") if split else (test, "")
        # Playwright takes a plain word for a pattern anywhere in the path: a.spec.ts would run aa.spec.ts too.
        pattern = re.escape(os.path.normpath(self.folder.resolve() / path)).replace("/", r"\/")
        return f"/^{pattern}$/{line}"


def prepare(source: Path, *, config: str, kit: Kit, scratch: Path, adapter: Adapter = "on-device") -> Project:
    """Make a source folder ready: once per batch, harmless when repeated.

    `adapter` fits its configuration to where the device is. A folder that can't be written to (in the image, say)
    is copied to `scratch` first. Raises ProjectError.
    """
    folder = source if os.access(source, os.W_OK) else _copy(source, scratch)
    own = _find_config(folder, config)
    packages = folder / "node_modules"
    if not (packages / "appwright").exists() and not packages.exists():
        packages.symlink_to(kit.home / "node_modules")
    if not (packages / "appwright").exists():
        raise ProjectError(
            "the source has a node_modules folder without appwright: add it there, "
            "or leave node_modules out to use the runner's own"
        )
    if said := problem(folder):
        raise ProjectError(said)
    beside = own.parent if own else folder
    generated = beside / GENERATED
    text = _wrapper(
        f"./{own.name}" if own else str(kit.default_config), kit, adapter, test_dir=None if own else "."
    )
    if not generated.exists() or generated.read_text() != text:
        generated.write_text(text)
    # Two copies of Playwright in one process refuse to work: the one that the project's tests import runs them.
    cli = folder / PLAYWRIGHT_CLI
    return Project(folder, generated, cli if cli.is_file() else kit.home / PLAYWRIGHT_CLI)


def prepare_for_driver(
    source: Path, *, config: str, kit: Kit, workdir: Path, adapter: Adapter = "on-device"
) -> Project:
    """The same with a batch's scratch folder. Raises SubmitterError: the same would come of every retry."""
    try:
        return prepare(source, config=config, kit=kit, scratch=workdir / "projects", adapter=adapter)
    except ProjectError as error:
        raise SubmitterError("SourceInvalid", str(error)) from error


def _find_config(folder: Path, config: str) -> Path | None:
    if (folder / config).is_file():
        return folder / config
    if config != DEFAULT_CONFIG:
        raise ProjectError(
            f"the source has no {config}, which the TestTarget's driver.appwright.config names"
        )
    stem = DEFAULT_CONFIG.removesuffix(".ts")
    return next((folder / (stem + e) for e in _ENDINGS if (folder / (stem + e)).is_file()), None)


def _wrapper(config: str, kit: Kit, adapter: Adapter, *, test_dir: str | None) -> str:
    adapt = json.dumps(str(kit.home / f"{adapter}.cjs"))
    more = f"{{ ...adapted(config), testDir: {json.dumps(test_dir)} }}" if test_dir else "adapted(config)"
    return (
        "// Written by the qgjob runner: the project's configuration, on the batch's device and app.\n"
        f"import config from {json.dumps(config)};\nimport adapted from {adapt};\n\nexport default {more};\n"
    )


def _copy(source: Path, scratch: Path) -> Path:
    target = scratch / source.resolve().as_posix().strip("/").replace("/", "_")
    if not target.exists():
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
        if (source / "node_modules").exists():
            (partial / "node_modules").symlink_to(source / "node_modules")
        partial.rename(target)
    else:
        # The source itself is what tests can't change; the copy they can.
        put_back(target, source)
    return target
