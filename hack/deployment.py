"""qgjob into a cluster, from nothing: the cluster, the images, and what manifests/overlays/local holds."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.imagebuild.images import ROOT, Images
from hack.localcluster.choice import Wish, choose
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import find_kubectl
from hack.localcluster.named import NamedCluster
from hack.localcluster.report import Report, format_seconds
from hack.localcluster.shell import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from hack.imagebuild.images import Image
    from hack.localcluster.cluster import Cluster

NAMESPACE = "qgjob-system"
DEPLOYMENT = "deployment/qgjob-operator"
OVERLAY = ROOT / "manifests" / "overlays" / "local"
IMAGES = ("operator", "runner", "runner-appwright")
ROLLOUT_SECONDS = 120
_IMAGE = re.compile(r"docker\.io/qgjob/(?P<name>[a-z-]+):[\w.-]+")


@dataclass(frozen=True)
class Access:
    """How to talk to the cluster."""

    kubectl: str
    kubeconfig: Path

    def run(self, *arguments: str | Path, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl and return what it printed. Raises ClusterError with its last words."""
        return run([self.kubectl, "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

    def identity(self) -> str:
        """Return what tells this cluster from every other, also from one that was removed and made anew."""
        return self.run("get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}")


def access_to(cluster: Cluster, report: Report) -> Access:
    """Return the access to a cluster that is up."""
    return Access(find_kubectl(report), cluster.kubeconfig())


def deploy(
    report: Report, wish: Wish, *, extra_images: Sequence[str] = (), registry: str = ""
) -> tuple[Access, list[Image]]:
    """Bring up the cluster, the images and the operator; return the access, and the images by their names there.

    `registry` serves a cluster that the person names: images are pushed there. Raises ClusterError.
    """
    cluster = choose(wish, report)
    images = Images(report)
    names = (*IMAGES, *extra_images)
    if isinstance(cluster, NamedCluster) and not registry:
        raise ClusterError(
            "the cluster that you named gets its images from a registry: "
            "give --registry (or QGJOB_REGISTRY), for example registry.example.com/team"
        )
    # The first time both take minutes; one of them mostly compiles, the other mostly waits for the network.
    side_by_side(
        report,
        lambda own: choose(wish, own).up(),
        lambda own: Images(own).build(names),
    )
    access = access_to(cluster, report)
    there = images.push(names, registry) if registry else images.load(names, cluster, access.identity())
    _apply(access, there)
    _wait_until_available(access, report)
    return access, there


def side_by_side(report: Report, *works: Callable[[Report], object]) -> None:
    """Run several works at once, their progress in one line. Raises the first error, once all have ended."""
    shared = _SharedLine(report)
    errors: list[Exception] = []

    def guarded(work: Callable[[Report], object], own: Report) -> None:
        try:
            work(own)
        except (ClusterError, OSError) as error:
            errors.append(error)

    threads = [
        threading.Thread(target=guarded, args=(work, _Part(shared, i))) for i, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def images_replaced(manifest: str, images: Iterable[Image]) -> str:
    """Return the manifest with each of the project's images by the name given; others stay as they are."""
    references = {image.name: image.reference for image in images}
    return _IMAGE.sub(lambda match: references.get(match["name"], match[0]), manifest)


def _apply(access: Access, images: list[Image]) -> None:
    manifest = images_replaced(access.run("kustomize", OVERLAY), images)
    if any(not image.reference.startswith("docker.io/qgjob/") for image in images):
        manifest = manifest.replace("imagePullPolicy: Never", "imagePullPolicy: IfNotPresent")
    access.run("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=manifest)
    access.run(
        *("wait", "--for=condition=Established", "--timeout=60s", "crd"),
        *(f"{plural}.qgjob.dev" for plural in ("testjobs", "testbatches", "testtargets")),
    )


def _wait_until_available(access: Access, report: Report) -> None:
    started = time.monotonic()
    try:
        access.run(
            *("rollout", "status", DEPLOYMENT, "--namespace", NAMESPACE, f"--timeout={ROLLOUT_SECONDS}s"),
            timeout=ROLLOUT_SECONDS + 30,
        )
    except ClusterError as error:
        report.say(access.run("get", "pods", "--namespace", NAMESPACE, "--output", "wide"))
        raise ClusterError(
            f"the operator did not become available: {error}; "
            f"see `hack/cluster kubectl describe pods -n {NAMESPACE}` and `… logs {DEPLOYMENT}`"
        ) from error
    report.say(f"the operator is available, after {format_seconds(time.monotonic() - started)}")


class _SharedLine:
    """Progress of several works at once, in one line of a report."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._texts: dict[int, str] = {}

    def say(self, text: str) -> None:
        with self._lock:
            self._report.say(text)

    def progress(self, part: int, text: str) -> None:
        with self._lock:
            self._texts[part] = text
            self._report.progress("  |  ".join(self._texts[key] for key in sorted(self._texts)))


class _Part(Report):
    """One work's own report."""

    def __init__(self, line: _SharedLine, number: int) -> None:
        super().__init__()
        self._line = line
        self._number = number

    def say(self, text: str) -> None:
        self._line.say(text)

    def progress(self, text: str) -> None:
        self._line.progress(self._number, text)
