"""Building Go programs from their modules, and saying how far the build is."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError
from hack.localcluster.report import format_seconds
from hack.localcluster.shell import find_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.localcluster.report import Report

# From 1.21 on, Go itself fetches the newer toolchain that a go.mod asks for.
OLDEST_GO = (1, 21)
GO_HINT = "install it from https://go.dev/dl/ (Debian's golang-go where it is new enough) and try again"
USUAL_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
_PACKAGE_LINE = re.compile(r"^[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~-]+)*$")


@dataclass(frozen=True)
class GoBuild:
    """One `go build` of one or more main packages."""

    module: Path  # the folder of the go.mod and go.sum that pin everything
    packages: tuple[str, ...]
    linker_flags: tuple[str, ...] = field(default=())

    def flags(self) -> list[str]:
        """Return the flags that decide the binaries' content, so also what Go's own cache can serve."""
        return ["-trimpath", "-ldflags", " ".join(("-s", "-w", *self.linker_flags))]


def find_go() -> str:
    """Return the path of a Go that is new enough. Raises ClusterError when there is none."""
    oldest = ".".join(map(str, OLDEST_GO))
    program = find_program("go") or next((path for path in USUAL_PLACES if Path(path).exists()), None)
    if program is None:
        raise ClusterError(f"Go {oldest} or newer is missing: {GO_HINT}")
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=False, cwd="/").stdout
    version = parse_go_version(output)
    if version is None or version < OLDEST_GO:
        found = output.strip() or "it does not run"
        raise ClusterError(f"{program} is too old ({found}); Go {oldest} or newer is needed: {GO_HINT}")
    return program


def parse_go_version(output: str) -> tuple[int, int] | None:
    """Read `go version go1.26.8 linux/amd64` as (1, 26); None where that is not what it says."""
    match = re.search(r"\bgo(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None


def go_environment() -> dict[str, str]:
    """Return the environment for the builds.

    Static binaries need no C compiler and run in images that hold nothing else. GOTOOLCHAIN lets Go fetch the
    toolchain that go.mod asks for also where a distribution has switched that off.
    """
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    environment.setdefault("GOTOOLCHAIN", "auto")
    environment.pop("GOOS", None)
    environment.pop("GOARCH", None)
    return environment


def build(what: str, wanted: GoBuild, output: Path, report: Report) -> None:
    """Build into the folder `output`, showing progress. Raises ClusterError with the compiler's words."""
    go = find_go()
    started = time.monotonic()
    total = count_packages_to_compile(go, wanted, report, what)
    compiled = 0
    complaints: deque[str] = deque(maxlen=20)
    process = subprocess.Popen(
        # Nice: the build is long, and everything else on the machine is more urgent.
        ["nice", "-n", "5", go, "build", "-v", *wanted.flags(), "-o", f"{output}/", *wanted.packages],
        cwd=wanted.module,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    finished = threading.Event()

    def show() -> None:
        while not finished.wait(0.5):
            report.progress(progress_line(what, compiled, total, time.monotonic() - started))

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        for line in process.stderr:
            if _PACKAGE_LINE.match(line.strip()):
                compiled += 1
            elif not line.startswith("go: downloading"):
                complaints.append(line.strip())
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        finished.set()
        shower.join()
    if status != 0:
        words = " | ".join(complaints) or f"go build ended with {status}"
        raise ClusterError(f"building {what} failed: {words}")
    report.say(f"built {what} in {format_seconds(time.monotonic() - started)}")


def progress_line(what: str, compiled: int, total: int, elapsed_seconds: float) -> str:
    """Say how far a build is. After the last package is compiled Go still links the programs."""
    step = f"{compiled} of {total} packages compiled" if compiled < total else "linking"
    return f"building {what}: {step}, {format_seconds(elapsed_seconds)}"


def count_packages_to_compile(go: str, wanted: GoBuild, report: Report, what: str) -> int:
    """Count what the build will compile: packages that Go's own cache does not hold. Fetches the modules."""
    argv: Sequence[str] = (
        *(go, "list", "-deps", *wanted.flags()),
        *("-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *wanted.packages),
    )
    report.say(f"building {what} from source, once a machine: fetching its Go modules")
    done = subprocess.run(
        argv, cwd=wanted.module, env=go_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ClusterError(f"fetching the Go modules of {what} failed: {last}")
    return sum(1 for line in done.stdout.splitlines() if line.strip())
