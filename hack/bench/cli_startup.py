"""How long `qgjob` takes to start, as a multiple of what a bare Python takes on the same machine just then.

    .venv/bin/python -m hack.bench.cli_startup [ROUNDS]

Every round runs each command once, so that a busy moment falls on all of them; medians are compared. `submit` runs
against an API server of its own and is set beside the one request that it makes, on a new TLS connection.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster.rest import ApiError
from hack.localcluster.throwaway import ThrowawayControlPlane
from qgjob.api.constants import API_VERSION, TEST_JOBS
from qgjob.api.schema import RESOURCES, crd
from qgjob.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent
BARE = "python -c pass"
REQUEST = "one POST, new connection, in a running process"
SPEC = {"orgId": "bench", "appVersionId": "1", "test": "a.ts", "target": "bench"}
OPTIONS = ["--org-id", "bench", "--app-version-id", "1", "--test", "a.ts", "--target", "bench"]
SERVED_SECONDS = 60.0


def measure(rounds: int) -> dict[str, float]:
    """The median wall-clock seconds of each command."""
    with ThrowawayControlPlane() as server:
        _install(server)
        environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "QGJOB_NAMESPACE": "default"}

        def program(*command: str | Path) -> Callable[[], None]:
            def run() -> None:
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

            return run

        def request() -> None:
            client = Client.from_kubeconfig(str(server.kubeconfig))
            body = {
                "apiVersion": API_VERSION,
                "kind": "TestJob",
                "metadata": {"generateName": "bench-"},
                "spec": SPEC,
            }
            client.create(TEST_JOBS, body)
            client.close()

        subjects = {
            BARE: program(sys.executable, "-c", "pass"),
            "qgjob --help": program(BIN / "qgjob", "--help"),
            "qgjob submit --help": program(BIN / "qgjob", "submit", "--help"),
            "qgjob submit …": program(BIN / "qgjob", "submit", *OPTIONS),
            "qgjob list": program(BIN / "qgjob", "list", "--limit", "1", "--quiet"),
            REQUEST: request,
        }
        samples: dict[str, list[float]] = {name: [] for name in subjects}
        for subject in subjects.values():  # what is read for the first time is read before the clock runs
            subject()
        for _ in range(rounds):
            for name, subject in subjects.items():
                started = time.perf_counter()
                subject()
                samples[name].append(time.perf_counter() - started)
        return {name: statistics.median(values) for name, values in samples.items()}


def _install(server: ThrowawayControlPlane) -> None:
    for model in RESOURCES:
        server.client.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(model))
    deadline = time.monotonic() + SERVED_SECONDS
    while True:
        try:
            server.client.get(f"/apis/{API_VERSION}/{TEST_JOBS}")
            return
        except ApiError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    medians = measure(rounds)
    bare = medians[BARE]
    print(f"median of {rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, seconds in medians.items():
        print(f"{seconds * 1000:7.0f} ms  {seconds / bare:5.1f} x  {name}")


if __name__ == "__main__":
    main()
