"""What the queue costs the API server, by that server's own count: at most 4 writes a test and 20 a batch."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.e2e.support import eventually

if TYPE_CHECKING:
    from hack.deployment import Access
    from tests.e2e.support import Queue

TESTS = 20
QUIET_LOOKS = 20  # a fifth of a second apart, and what a look takes
WRITES = {"POST", "PUT", "PATCH", "DELETE", "APPLY"}
#: What a cluster writes for itself all the time; and Events, its log, which it drops after an hour.
NOT_COUNTED = {"leases", "nodes", "events", "endpointslices", "tokenreviews", "subjectaccessreviews"}
_REQUESTS = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)


def writes(access: Access) -> Counter[str]:
    """Count the writes that succeeded since the API server began, by resource."""
    counted: Counter[str] = Counter()
    for match in _REQUESTS.finditer(access.run("get", "--raw", "/metrics")):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
        if labels["verb"] in WRITES and labels["resource"] not in NOT_COUNTED:
            counted[labels["resource"]] += int(float(match["count"]))
    return counted


def settled_writes(queue: Queue) -> Counter[str]:
    """Count them once nothing is under way any more: a Job completes some seconds after its batch."""
    seen: list[Counter[str]] = []

    def quiet() -> bool:
        seen.append(writes(queue.access))
        return len(seen) > QUIET_LOOKS and seen[-1] == seen[-QUIET_LOOKS]

    eventually(quiet, "nobody writes any more", lambda: str(seen[-1] - seen[-QUIET_LOOKS]))
    return seen[-1]


def test_writes_of_passing_tests(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")
    queue.wait_until_over(*queue.submit(target, "first.spec.ts"))  # its namespace is set up then
    before = settled_writes(queue)

    names = queue.submit(target, *(f"{number}.spec.ts" for number in range(TESTS)))
    queue.wait_until_over(*names)

    cost = settled_writes(queue) - before
    batches = len(queue.batches()) - 1
    per_test = cost.pop("testjobs") / TESTS
    per_batch = sum(cost.values()) / batches
    assert per_test <= 4, f"{per_test} writes a test"
    assert per_batch <= 20, f"{per_batch} writes a batch: {dict(cost)} for {batches} batches"


def test_metrics_are_there_to_be_scraped(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")
    queue.wait_until_over(*queue.submit(target, "a.spec.ts", "b.spec.ts"))

    service = "/api/v1/namespaces/qgjob-system/services/qgjob-operator-metrics:metrics/proxy/metrics"

    def counted() -> bool:
        text = queue.access.run("get", "--raw", service)
        passed = re.search(
            rf'^qgjob_attempts_total\{{namespace="{queue.namespace}",outcome="passed",target="simulated"\}} (\S+)$',
            text,
            re.MULTILINE,
        )
        return passed is not None and float(passed[1]) == 2

    eventually(counted, "the two passed attempts are counted")
