"""`make bench`: how long the queue takes for 600 short tests, and what that costs the API server.

    .venv/bin/python -m hack.bench [TESTS]

The tests do nothing but take 0.2 s each, on 20 app versions whose install takes 1 s, in 8 slots, all submitted at
once. Beside it stands what no scheduler could beat with an install for each test, and with one for each version.
"""

from __future__ import annotations

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hack.deployment import deploy
from hack.localcluster.choice import Wish
from hack.localcluster.errors import ClusterError
from hack.localcluster.report import Report
from qgjob.api.constants import API_VERSION, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from qgjob.client import Client

if TYPE_CHECKING:
    from hack.deployment import Access

NAMESPACE = "qgjob-bench"
SLOTS, VERSIONS = 8, 20
INSTALL_SECONDS, TEST_SECONDS = 1.0, 0.2
SUBMITTERS = 16
PATIENCE_SECONDS = 900.0
WRITES = {"POST", "PUT", "PATCH", "DELETE", "APPLY"}
NOT_COUNTED = {"leases", "nodes", "events"}
_REQUESTS = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)


def main() -> int:
    """Measure and print."""
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    report = Report()
    try:
        access, _ = deploy(report, Wish.of(None, None, None))
        access.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=300)
        access.run("create", "namespace", NAMESPACE)
        measure(access, tests)
    except ClusterError as error:
        report.say(f"hack.bench: {error}")
        return 1
    return 0


def measure(access: Access, tests: int) -> None:
    """Run it once, and print the figures."""
    client = Client.from_kubeconfig(str(access.kubeconfig), namespace=NAMESPACE)
    client.create(TEST_TARGETS, target())
    writes_before, started = writes(access), time.monotonic()
    with ThreadPoolExecutor(SUBMITTERS) as submitters:
        list(submitters.map(lambda number: client.create(TEST_JOBS, job(number)), range(tests)))
    submitted = time.monotonic() - started
    while left := sum(1 for _ in client.list(TEST_JOBS, field_selector="status.phase!=Succeeded")):
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise ClusterError(f"{left} of {tests} tests did not pass within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.5)
    took = time.monotonic() - started
    batches = sum(1 for _ in client.list(TEST_BATCHES))
    cost = writes(access) - writes_before
    work = tests * TEST_SECONDS
    for name, value in (
        ("tests", f"{tests} of {TEST_SECONDS} s, {VERSIONS} app versions, {SLOTS} slots"),
        ("submitted in", f"{submitted:.1f} s, {tests / submitted:.0f}/s"),
        ("all passed after", f"{took:.1f} s, {tests / took:.1f}/s"),
        ("at best, one install a test", f"{(work + tests * INSTALL_SECONDS) / SLOTS:.1f} s"),
        ("at best, one a version", f"{(work + VERSIONS * INSTALL_SECONDS) / SLOTS:.1f} s"),
        ("batches (installs)", f"{batches}, {tests / batches:.1f} tests each"),
        (
            "API writes",
            f"{cost}, {cost / tests:.2f} a test, all of the cluster's but Leases, nodes and Events",
        ),
    ):
        print(f"{name:28} {value}")


def target() -> dict[str, Any]:
    """Return the target: no device, no app."""
    simulate = {"installSeconds": INSTALL_SECONDS, "testSeconds": TEST_SECONDS}
    return {
        "apiVersion": API_VERSION,
        "kind": "TestTarget",
        "metadata": {"name": "bench"},
        "spec": {"driver": {"name": "simulate", "simulate": simulate}, "parallelism": SLOTS},
    }


def job(number: int) -> dict[str, Any]:
    """Return one TestJob."""
    spec = {
        "orgId": "bench",
        "appVersionId": f"1.{number % VERSIONS}.0",
        "test": f"t{number}.ts",
        "target": "bench",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TestJob",
        "metadata": {"name": f"bench-{number}"},
        "spec": spec,
    }


def writes(access: Access) -> int:
    """Return the writes that the API server has answered since it began."""
    count = 0.0
    for match in _REQUESTS.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
        if labels["verb"] in WRITES and labels["resource"] not in NOT_COUNTED:
            count += float(match["count"])
    return int(count)


if __name__ == "__main__":
    sys.exit(main())
