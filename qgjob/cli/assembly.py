"""From the options of `submit` to the manifests that are sent."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgjob.api.constants import API_VERSION

from . import checks, expand, identifiers
from .exits import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .manifests import Document
    from .packing import Packed

Object = dict[str, Any]

DEFAULT_PRIORITY = 5
DEFAULT_MAX_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the options say. None: not given."""

    tests: Sequence[str]
    org_id: str | None = None
    app_version_id: str | None = None
    target: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    job_id: str | None = None
    timeout: int | None = None
    env: Sequence[str] = ()
    isolation: str | None = None
    ttl: int | None = None
    source_dir: Path | None = None
    git: str | None = None
    git_revision: str | None = None
    git_path: str | None = None

    def given(self) -> list[str]:
        """The options that were given, as the user writes them."""
        values = {
            "--test": self.tests,
            "--org-id": self.org_id,
            "--app-version-id": self.app_version_id,
            "--target": self.target,
            "--priority": self.priority,
            "--max-retries": self.max_retries,
            "--job-id": self.job_id,
            "--timeout": self.timeout,
            "--env": self.env,
            "--isolation": self.isolation,
            "--ttl": self.ttl,
            "--source-dir": self.source_dir,
            "--git": self.git,
            "--git-revision": self.git_revision,
            "--git-path": self.git_path,
        }
        return [option for option, value in values.items() if value not in (None, [], ())]


@dataclass(frozen=True, slots=True)
class Plan:
    """TestJobs to create; the packed source that they share, or the places in files that they come from."""

    manifests: list[Object]
    packed: Packed | None = None
    #: Where each of the manifests stands, if they come from files.
    places: Sequence[str] = ()
    #: What may keep the packed source from running.
    doubts: Sequence[str] = ()


def job_ids() -> identifiers.JobIds:
    """The source of new job ids."""
    return identifiers.JobIds(time.time, os.urandom)


def assemble(wish: Wish, ids: identifiers.JobIds) -> Plan:
    """Check the options, find and pack the test files, and make one manifest for each test.

    Raises:
        CliError: everything that is wrong, at once.
    """
    needed = {
        "--test": wish.tests,
        "--org-id": wish.org_id,
        "--app-version-id": wish.app_version_id,
        "--target": wish.target,
    }
    if missing := [option for option, value in needed.items() if not value]:
        raise CliError(
            f"submit needs {', '.join(missing)} (or -f with a manifest); see `qgjob submit --help`"
        )
    try:
        spec = _spec(wish)
        files = None
        if wish.source_dir is not None:
            from . import packing

            files = packing.choose(wish.source_dir)
        tests = expand.expand(
            wish.tests, wish.source_dir or Path(), packed=None if files is None else set(files)
        )
        found = [problem for test in tests for problem in checks.problems({**spec, "test": test})]
        if wish.job_id is not None and (problem := checks.job_id_problem(wish.job_id)):
            found.append(problem)
        if found:
            raise CliError("\n".join(dict.fromkeys(found)))
        packed, doubts = None, list[str]()
        if wish.source_dir is not None and files is not None:
            packed = packing.pack(wish.source_dir, files)
            spec["source"] = {"configMap": {"name": packed.name}}
            doubts = _doubts(files)
    except ValueError as error:
        raise CliError(str(error)) from error
    names = _names(wish.job_id, tests, ids)
    return Plan(
        [_manifest(name, {**spec, "test": test}) for name, test in zip(names, tests, strict=True)],
        packed,
        doubts=doubts,
    )


def read_manifests(paths: Sequence[str], namespace: str | None, ids: identifiers.JobIds) -> Plan:
    """The TestJobs of files, `-` being stdin. `namespace` is the one that the user named, if any.

    Raises:
        CliError: all that can't be read or is something else, each with its file and document.
    """
    from . import manifests

    found: list[manifests.Document] = []
    problems: list[str] = []
    for path in paths:
        try:
            text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        except OSError as error:
            problems.append(f"{path}: {(error.strerror or str(error)).lower()}")
            continue
        except UnicodeDecodeError as error:
            problems.append(f"{path}: no text in UTF-8: {error.reason} at byte {error.start}")
            continue
        documents, wrong = manifests.read(text, "stdin" if path == "-" else path)
        found += documents
        problems += wrong
    problems += _clashes(found, namespace)
    if problems:
        raise refused(problems)
    for document in found:
        metadata = document.manifest["metadata"]
        if not metadata.get("name"):
            metadata["name"] = metadata.pop("generateName", "") + ids.next()
    return Plan([each.manifest for each in found], places=[each.where for each in found])


def refused(problems: Sequence[str]) -> CliError:
    """The error for files that can't be submitted as they are."""
    return CliError("\n".join(["-f: nothing was submitted:", *(f"  {problem}" for problem in problems)]))


def _clashes(found: Sequence[Document], namespace: str | None) -> list[str]:
    """Documents that contradict the command line, or each other."""
    problems = []
    seen: dict[tuple[str, str], str] = {}
    for document in found:
        metadata = document.manifest["metadata"]
        own, name = metadata.get("namespace") or "", metadata.get("name")
        if own and namespace and own != namespace:
            problems.append(f"{document.where}: it says namespace {own!r}, --namespace says {namespace!r}")
        if not name:
            continue
        if earlier := seen.get((own, str(name))):
            problems.append(f"{document.where}: the name {name!r} is taken by {earlier}")
        seen.setdefault((own, str(name)), document.where)
    return problems


def _spec(wish: Wish) -> Object:
    """Everything but the test and the packed source. Raises ValueError."""
    spec: Object = {
        "orgId": wish.org_id,
        "appVersionId": wish.app_version_id,
        "target": wish.target,
        "priority": DEFAULT_PRIORITY if wish.priority is None else wish.priority,
        "maxRetries": DEFAULT_MAX_RETRIES if wish.max_retries is None else wish.max_retries,
    }
    optional = {
        "timeoutSeconds": wish.timeout,
        "isolation": wish.isolation,
        "ttlSecondsAfterFinished": wish.ttl,
        "env": [checks.parse_variable(entry) for entry in wish.env] or None,
        "source": _git(wish),
    }
    return spec | {key: value for key, value in optional.items() if value is not None}


def _doubts(files: Sequence[str]) -> list[str]:
    """What is known of runners' images: the project's one has npm, and neither pnpm nor yarn."""
    managers = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
    lock = next((name for name in managers if name in files), "")
    if not lock or {"package-lock.json", "npm-shrinkwrap.json"} & set(files):
        return []
    where = f"the packages of {lock} are installed where the runner's image has {managers[lock]} or corepack"
    ways = "send a package-lock.json, install in driver.command.test, or have node_modules in the image"
    return [f"{where}, and the target a cache: else {ways} (docs/sources.md)"]


def _git(wish: Wish) -> Object | None:
    details = {"revision": wish.git_revision, "path": wish.git_path}
    given = {key: value for key, value in details.items() if value is not None}
    if wish.git is None:
        if given:
            raise ValueError(f"--git-{next(iter(given))} needs --git URL")
        return None
    if wish.source_dir is not None:
        raise ValueError("--git and --source-dir both say where the test files come from: give one")
    return {"git": {"repository": wish.git, **given}}


def _names(job_id: str | None, tests: Sequence[str], ids: identifiers.JobIds) -> list[str]:
    if job_id is None:
        return [ids.next() for _ in tests]
    if len(tests) == 1:
        return [job_id]
    return [identifiers.for_test(job_id, test) for test in tests]


def _manifest(name: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": "TestJob", "metadata": {"name": name}, "spec": spec}
