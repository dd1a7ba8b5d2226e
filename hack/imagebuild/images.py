"""The project's images: their names, whether they are built, and bringing them into the cluster."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hack.imagebuild import dockerfile
from hack.imagebuild.base import default_base, ensure_base
from hack.imagebuild.engines import Engine, find_engine
from hack.localcluster.debian import can_install, install_packages
from hack.localcluster.errors import ClusterError
from hack.localcluster.locks import exclusive
from hack.localcluster.places import cache_directory
from hack.localcluster.report import format_seconds
from hack.localcluster.shell import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hack.localcluster.cluster import Cluster
    from hack.localcluster.report import Report

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("operator", "runner", "runner-appwright", "phone")
BUILD_PACKAGES = ("buildah", "mmdebstrap")
# Where people and programs say that connections are checked against a bundle of their own.
AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SYSTEM_ADDITIONS = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Image:
    """One of the images. Its tag follows from its content, so an image that was built anew is really used."""

    name: str
    reference: str


class Images:
    """Builds and loads; nothing is done twice."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._dockerfile = (ROOT / "Dockerfile").read_text()
        self._stages = dockerfile.parse(self._dockerfile)

    def image(self, name: str) -> Image:
        """Return an image by its short name. Raises ClusterError for an unknown one."""
        if name not in NAMES:
            raise ClusterError(f"no image is called {name}; there are {', '.join(NAMES)}")
        digest = dockerfile.content_hash(ROOT, self._stages, name)[:12]
        return Image(name, f"docker.io/qgjob/{name}:{_version()}-{digest}")

    def build(self, names: Iterable[str]) -> list[Image]:
        """Build what the engine does not hold yet. Two callers at once are harmless: the second one waits."""
        images = [self.image(name) for name in names]
        with exclusive(cache_directory() / "images.lock", self._report, doing="building images"):
            missing = [image for image in images if not self._engine.has(image.reference)]
            base = ensure_base(self._engine, default_base(self._dockerfile), self._report) if missing else ""
            for image in missing:
                started = time.monotonic()
                self._engine.build(
                    image.reference,
                    ROOT,
                    report=self._report,
                    target=image.name,
                    arguments={"BASE": base},
                    authorities=private_authorities(),
                )
                self._report.say(f"built {image.reference} in {format_seconds(time.monotonic() - started)}")
                self._engine.forget_old(image.reference)
        return images

    def is_built(self, image: Image) -> bool:
        """Tell whether the engine holds it."""
        return self._engine.has(image.reference)

    def load(self, names: Iterable[str], cluster: Cluster, cluster_id: str) -> list[Image]:
        """Build images and put them into the cluster, those that it was not given before."""
        images = self.build(names)
        register = _LoadedImages(cluster_id)
        for image in images:
            if image.reference in register.references():
                continue
            with tempfile.TemporaryDirectory(prefix="load-", dir=cache_directory()) as folder:
                archive = Path(folder) / f"{image.name}.tar"
                self._engine.save(image.reference, archive)
                cluster.load([archive])
            register.add(image.reference)
        return images

    def push(self, names: Iterable[str], registry: str) -> list[Image]:
        """Build images and send them to a registry; return them by the names that they have there."""
        pushed = []
        for image in self.build(names):
            there = image.reference.replace("docker.io/qgjob", registry.rstrip("/"))
            self._report.progress(f"pushing {there}")
            self._engine.push(image.reference, there)
            pushed.append(Image(image.name, there))
        return pushed

    @cached_property
    def _engine(self) -> Engine:
        engine = find_engine()
        lacks_base_maker = find_program("mmdebstrap") is None
        if engine is None or (engine.name == "buildah" and lacks_base_maker and can_install()):
            if not can_install():
                raise ClusterError(
                    f"no engine to build images: start Docker or podman, or apt-get install {' '.join(BUILD_PACKAGES)}"
                )
            self._report.say(f"installing Debian packages: {' '.join(BUILD_PACKAGES)}")
            install_packages(BUILD_PACKAGES)
            engine = find_engine()
        if engine is None:
            raise ClusterError("buildah was installed, but does not run")
        return engine


class _LoadedImages:
    """Which images a cluster was given. Its nodes list only some of theirs, and late."""

    def __init__(self, cluster_id: str) -> None:
        self._file = cache_directory() / "loaded" / f"{cluster_id}.json"

    def references(self) -> Sequence[str]:
        try:
            return list(json.loads(self._file.read_text()))
        except (OSError, ValueError):
            return []

    def add(self, reference: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps([*self.references(), reference], indent=2))


def private_authorities() -> Path | None:
    """Return the host's bundle of certificate authorities where it trusts private ones, else None."""
    for variable in AUTHORITY_VARIABLES:
        path = Path(os.environ.get(variable) or "/nonexistent")
        if path.is_file():
            return path
    if SYSTEM_BUNDLE.is_file() and any(SYSTEM_ADDITIONS.rglob("*.crt")):
        return SYSTEM_BUNDLE
    return None


def _version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "qgjob" / "__init__.py").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]
