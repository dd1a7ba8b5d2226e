"""The image that all others begin with: Debian's own from a registry, or one like it made from Debian's packages."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.places import cache_directory
from hack.localcluster.report import format_seconds
from hack.localcluster.shell import find_program, run

if TYPE_CHECKING:
    from hack.imagebuild.engines import Engine
    from hack.localcluster.report import Report

TIMEOUT_SECONDS = 900
# What Debian's slim images leave out too.
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
KEPT = ("/usr/share/doc/*/copyright",)


def default_base(dockerfile: str) -> str:
    """Return what the Dockerfile's `ARG BASE=` names, the only place where it is written."""
    match = re.search(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    if match is None:
        raise ClusterError("the Dockerfile has no line ARG BASE=…")
    return match[1]


def ensure_base(engine: Engine, public: str, report: Report) -> str:
    """Return a base image that the engine holds: the public one, else one that is made here."""
    local = f"localhost/{public}"
    for reference in (_qualified(public), local):
        if engine.has(reference):
            return reference
    report.say(f"fetching {public}")
    if engine.pull(_qualified(public)):
        return _qualified(public)
    report.say(f"no registry answers: making {local} from Debian's packages")
    started = time.monotonic()
    cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache_directory()) as folder:
        context = Path(folder)
        _make_root_file_system(_suite(public), context / "base.tar")
        (context / "Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["bash"]\n')
        engine.build(local, context, report=report)
    report.say(f"made {local} in {format_seconds(time.monotonic() - started)}")
    return local


def _make_root_file_system(suite: str, archive: Path) -> None:
    if find_program("mmdebstrap") is None:
        raise ClusterError(
            "mmdebstrap is missing: apt-get install mmdebstrap, or give a registry that answers"
        )
    options = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    options += [f"--dpkgopt=path-include={path}" for path in KEPT]
    run(["mmdebstrap", "--quiet", "--variant=minbase", *options, suite, archive], timeout=TIMEOUT_SECONDS)


def _qualified(reference: str) -> str:
    """Write a short name as podman and buildah want it, which ask nobody which registry is meant."""
    return reference if "/" in reference else f"docker.io/library/{reference}"


def _suite(reference: str) -> str:
    """Read `debian:trixie-slim` as `trixie`."""
    return reference.rpartition(":")[2].removesuffix("-slim")
