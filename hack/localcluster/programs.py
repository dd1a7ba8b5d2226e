"""The programs that are built from pinned Go modules, and their places in the cache."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster import gobuild
from hack.localcluster.errors import ClusterError
from hack.localcluster.files import replaced_directory
from hack.localcluster.locks import exclusive
from hack.localcluster.places import cache_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.localcluster.report import Report

SOURCES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Release:
    """Programs that come from one Go module and are built together."""

    name: str
    packages: dict[str, str]  # program → its main package
    go_module: str | None = None  # None: the source itself is here
    folder: str = ""  # of go/, where that is not called like it
    sources: Path | None = None  # where that folder is; SOURCES otherwise

    @property
    def source(self) -> Path:
        """The folder that `go build` runs in."""
        return (self.sources or SOURCES) / (self.folder or self.name)

    @property
    def version(self) -> str:
        """The version pinned in go.mod, the only place where it is written; for own source, its hash."""
        if self.go_module is None:
            return hashlib.sha256((self.source / "main.go").read_bytes()).hexdigest()[:12]
        pinned = re.search(
            rf"^\s*(?:require )?{re.escape(self.go_module)} (v\S+)",
            (self.source / "go.mod").read_text(),
            re.MULTILINE,
        )
        if pinned is None:
            raise ClusterError(f"{self.go_module} is not pinned in {self.source / 'go.mod'}")
        return pinned[1]

    @property
    def directory(self) -> Path:
        """Where its programs are in the cache."""
        return cache_directory() / "bin" / f"{self.name}-{self.version}"

    def path(self, program: str) -> Path:
        """Return the place of one of its programs in the cache, whether it is built yet or not."""
        return self.directory / program

    def is_built(self) -> bool:
        """Tell whether every program is in the cache. They get there all at once or not at all."""
        return all(self.path(program).exists() for program in self.packages)

    def linker_flags(self) -> tuple[str, ...]:
        """Return the flags that tell Kubernetes' programs their version; else they say v0.0.0."""
        if self.go_module != "k8s.io/kubernetes":
            return ()
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        return tuple(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())


ETCD = Release("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, go_module="go.etcd.io/etcd/server/v3")
KUBERNETES = Release(
    "kubernetes",
    {
        program: f"k8s.io/kubernetes/cmd/{program}"
        for program in (
            *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
            *("kubelet", "kube-proxy", "kubectl"),
        )
    },
    go_module="k8s.io/kubernetes",
)
# For whoever has a cluster but no kubectl: a minute instead of five.
KUBECTL = Release(
    "kubectl",
    {"kubectl": "k8s.io/kubernetes/cmd/kubectl"},
    go_module="k8s.io/kubernetes",
    folder="kubernetes",
)
KIND = Release("kind", {"kind": "sigs.k8s.io/kind"}, go_module="sigs.k8s.io/kind")
PAUSE = Release("pause", {"pause": "qgjob.dev/hack/localcluster/go/pause"})

CONTROL_PLANE = (ETCD, KUBERNETES)
LOCAL_CLUSTER = (ETCD, PAUSE, KUBERNETES)


def find_release(program: str) -> Release:
    """Return the release that a program belongs to. Raises ClusterError for an unknown one."""
    releases = (*LOCAL_CLUSTER, KIND)
    for release in releases:
        if program in release.packages:
            return release
    known = ", ".join(program for release in releases for program in release.packages)
    raise ClusterError(f"no program is called {program}; there are {known}")


def ensure_built(releases: Sequence[Release], report: Report) -> None:
    """Build what the cache does not hold yet. Two callers at once are harmless: the second one waits."""
    if all(release.is_built() for release in releases):
        return
    lock = cache_directory() / "build.lock"
    with exclusive(lock, report, doing="building the cluster's programs"):
        for release in releases:
            if not release.is_built():
                _build(release, report)


def _build(release: Release, report: Report) -> None:
    wanted = gobuild.GoBuild(release.source, tuple(release.packages.values()), release.linker_flags())
    with replaced_directory(release.directory) as directory:
        gobuild.build(f"{release.name} {release.version}", wanted, directory, report)
        for program, package in release.packages.items():
            built = directory / _name_given_by_go(package)
            if built.name != program:
                built.rename(directory / program)


def _name_given_by_go(package: str) -> str:
    """Go names a program after its package path's last part that is no major version."""
    parts = [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)]
    return parts[-1]
