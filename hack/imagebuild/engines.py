"""docker, podman and buildah: what each is asked to do, behind one interface."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.kind import answering_engine
from hack.localcluster.places import cache_directory
from hack.localcluster.report import format_seconds
from hack.localcluster.shell import find_program, run, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hack.localcluster.report import Report

PULL_TIMEOUT_SECONDS = 300
SAVE_TIMEOUT_SECONDS = 600
# Of each image; a few, for people who go to and fro between branches.
KEPT_BUILDS = 4
_STEP = re.compile(
    r"^(?:\[\d+/\d+\] )?STEP (?P<step>\d+/\d+): (?P<what>.*)|^#\d+ \[(?P<docker>[^\]]+\d+/\d+)\]"
)


@dataclass(frozen=True)
class Engine:
    """A program that builds images, with the options that come before each of its commands."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    build_options: tuple[str, ...] = ()

    def has(self, reference: str) -> bool:
        """Tell whether it holds an image of that name."""
        inspect = ("inspect", "--type", "image") if self.name == "buildah" else ("image", "inspect")
        return succeeds([*self.command, *inspect, reference])

    def pull(self, reference: str) -> bool:
        """Fetch an image from its registry; tell whether that went well."""
        return succeeds([*self.command, "pull", reference], timeout=PULL_TIMEOUT_SECONDS)

    def build(
        self,
        reference: str,
        context: Path,
        *,
        report: Report,
        file: Path | None = None,
        target: str = "",
        arguments: dict[str, str] | None = None,
        authorities: Path | None = None,
    ) -> None:
        """Build one image. Raises ClusterError with the end of what the engine said."""
        argv = [*self.command, "build", *self.build_options, "--tag", reference]
        argv += ["--file", str(file or context / "Dockerfile")]
        if target:
            argv += ["--target", target]
        for key, value in (arguments or {}).items():
            argv += ["--build-arg", f"{key}={value}"]
        if authorities is not None:
            argv += ["--secret", f"id=ca,src={authorities}"]
        self._build([*argv, str(context)], reference, report)

    def forget_old(self, reference: str) -> None:
        """Remove builds of the same image that are long out of date, from a storage that is ours alone."""
        if self.name != "buildah":
            return
        repository = reference.rpartition(":")[0]
        listed = json.loads(run([*self.command, "images", "--json"]))
        builds = {name: image["created"] for image in listed for name in image.get("names") or ()}
        mine = sorted((name for name in builds if name.startswith(f"{repository}:")), key=builds.__getitem__)
        for name in mine[:-KEPT_BUILDS]:
            # Another build may go on from it just now: then it stays.
            succeeds([*self.command, "rmi", name])

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as an archive that `hack/cluster load` reads."""
        if self.name == "docker":
            argv = [*self.command, "save", "--output", str(archive), reference]
        else:
            # Uncompressed: it is read once, on this machine.
            argv = [*self.command, "push", "--quiet", "--disable-compression"]
            argv += [reference, f"docker-archive:{archive}:{reference}"]
        run(argv, env=self.environment, timeout=SAVE_TIMEOUT_SECONDS)

    def push(self, reference: str, to: str) -> None:
        """Send an image to a registry under another name."""
        if self.name == "buildah":
            run([*self.command, "push", reference, f"docker://{to}"], timeout=SAVE_TIMEOUT_SECONDS)
            return
        run([*self.command, "tag", reference, to])
        run([*self.command, "push", to], timeout=SAVE_TIMEOUT_SECONDS)

    def _build(self, argv: Sequence[str], reference: str, report: Report) -> None:
        started = time.monotonic()
        said: deque[str] = deque(maxlen=25)
        process = subprocess.Popen(
            ["nice", "-n", "5", *argv],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                if step := _STEP.match(line):
                    what = step["docker"] or f"step {step['step']}: {step['what']}"
                    elapsed = format_seconds(time.monotonic() - started)
                    report.progress(f"building {reference}: {what[:70]}, {elapsed}")
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if status != 0:
            report.say("\n".join(said))
            raise ClusterError(f"{self.name} could not build {reference}: see above")


def find_engine() -> Engine | None:
    """Return docker, podman or buildah: the first that works here."""
    answering = answering_engine()
    if answering is not None:
        environment = {"DOCKER_BUILDKIT": "1"} if answering == "docker" else {}
        options = ("--progress=plain",) if answering == "docker" else ("--layers", "--force-rm")
        return Engine(answering, (answering,), environment, options)
    return buildah() if find_program("buildah") else None


def buildah() -> Engine:
    """buildah with a storage of its own in the cache: nothing is added to a person's images."""
    storage = cache_directory() / "images"
    storage.mkdir(parents=True, exist_ok=True)
    # What is in the second folder must not outlive a restart of the machine.
    runtime = "/run/qgjob-images" if os.geteuid() == 0 else str(storage / "run")
    return Engine(
        "buildah",
        ("buildah", "--root", str(storage), "--runroot", runtime),
        # chroot needs no container runtime, and works where namespaces can't be nested.
        {"BUILDAH_ISOLATION": "chroot"},
        ("--layers", "--force-rm"),
    )
