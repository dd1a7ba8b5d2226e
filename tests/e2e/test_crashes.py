"""Pods that are killed, the operator's among them: nothing is lost, and nobody is charged for it.

That no test runs twice at once is not for statuses to show: those are what the operator believes. It is searched
for, in every order of crashes, in tests/stateful/test_protocol.py.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hack.deployment import DEPLOYMENT, NAMESPACE, Access
from tests.e2e.support import eventually

if TYPE_CHECKING:
    from tests.e2e.conftest import Cluster
    from tests.e2e.support import Queue

FENCE_SECONDS = 5


def slow_target(queue: Queue, *, parallelism: int = 1) -> str:
    """A target whose tests called slow take long enough to be killed."""
    target = queue.target("simulated-faults-target.yaml")
    change = {"spec": {"parallelism": parallelism, "timeouts": {"fenceSeconds": FENCE_SECONDS}}}
    queue.kubectl("patch", "testtarget", target, "--type=merge", f"--patch={json.dumps(change)}")
    return target


def running_pod(queue: Queue, name: str) -> str:
    """The pod that runs a TestJob now."""
    return str(queue.wait_for_phase(name, "Running")["status"]["pod"])


def operator_pod(access: Access) -> dict[str, Any]:
    """The operator's one pod that is not about to end."""
    text = access.run(
        *("get", "pods", "--namespace", NAMESPACE, "--output", "json"),
        "--selector=app.kubernetes.io/name=qgjob-operator",
    )
    [pod] = [pod for pod in json.loads(text)["items"] if "deletionTimestamp" not in pod["metadata"]]
    found: dict[str, Any] = pod
    return found


def wait_for_operator(access: Access) -> None:
    access.run("rollout", "status", DEPLOYMENT, "--namespace", NAMESPACE, "--timeout=90s")


def test_a_pod_killed_in_the_middle_of_a_test(queue: Queue) -> None:
    target = slow_target(queue)
    slow, other = queue.submit(target, "slow.spec.ts", "other.spec.ts", max_retries=0)
    pod = running_pod(queue, slow)

    queue.kubectl("delete", "pod", pod, "--force", "--grace-period=0")

    slow_job, other_job = queue.wait_until_over(slow, other, seconds=150)
    assert slow_job["status"]["phase"] == other_job["status"]["phase"] == "Succeeded"
    assert slow_job["status"]["failures"] == 0
    assert [attempt["outcome"] for attempt in slow_job["status"]["attempts"]] == ["infrastructure", "passed"]
    assert other_job["status"]["infrastructureFailures"] == 0, "it had not been started"
    first, second = slow_job["status"]["attempts"]
    assert first["pod"] != second["pod"]


def test_a_pod_that_is_asked_to_end_gives_back_what_it_has_not_started(queue: Queue) -> None:
    target = slow_target(queue)
    slow, other = queue.submit(target, "slow.spec.ts", "other.spec.ts", max_retries=0)
    pod = running_pod(queue, slow)

    queue.kubectl("delete", "pod", pod, "--wait=false")

    for job in queue.wait_until_over(slow, other, seconds=150):
        assert job["status"]["phase"] == "Succeeded"
        assert job["status"]["failures"] == 0


def test_the_operator_killed_while_tests_run(cluster: Cluster, queue: Queue) -> None:
    target = slow_target(queue, parallelism=2)
    names = queue.submit(target, "slow.spec.ts", *(f"{number}.spec.ts" for number in range(9)))
    running_pod(queue, names[0])
    killed = operator_pod(cluster.access)["metadata"]["name"]

    cluster.access.run("delete", "pod", killed, "--namespace", NAMESPACE, "--force", "--grace-period=0")
    late = queue.submit(target, "late.spec.ts")

    for job in queue.wait_until_over(*names, *late):
        assert job["status"]["phase"] == "Succeeded"
        assert len(job["status"]["attempts"]) == 1, "one test ran more often than once"


def test_results_are_written_while_the_operator_is_away(cluster: Cluster, queue: Queue) -> None:
    target = slow_target(queue)
    names = queue.submit(target, "slow.spec.ts", "after.spec.ts")
    running_pod(queue, names[0])

    cluster.access.run("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=0")
    try:
        jobs = queue.wait_until_over(*names)
    finally:
        cluster.access.run("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=1")
        wait_for_operator(cluster.access)

    assert {job["status"]["phase"] for job in jobs} == {"Succeeded"}


def test_the_operator_ends_in_good_order_when_asked(cluster: Cluster, queue: Queue) -> None:
    wait_for_operator(cluster.access)
    pod = operator_pod(cluster.access)
    name, restarts = pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]
    asked = datetime.now(UTC)

    # Process 1 gets SIGTERM, as from the kubelet; the container starts again, and tells how the last one ended.
    cluster.access.run(
        *("exec", name, "--namespace", NAMESPACE, "--", "python", "-c", "import os; os.kill(1, 15)")
    )

    def ended() -> bool:
        status = operator_pod(cluster.access)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] > restarts)

    eventually(ended, "the operator's container has ended", queue.explain)
    last = operator_pod(cluster.access)["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 0
    took = datetime.fromisoformat(last["finishedAt"]) - asked
    assert took.total_seconds() < 11, "it must end within 10 seconds"
    wait_for_operator(cluster.access)


def test_another_replica_takes_over_at_once_when_the_leader_ends(cluster: Cluster, queue: Queue) -> None:
    access = cluster.access
    access.run("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=2")
    try:
        wait_for_operator(access)
        leader = lease_holder(access)
        pod = leader.rpartition("_")[0]
        access.run("delete", "pod", pod, "--namespace", NAMESPACE, "--wait=false")

        eventually(lambda: lease_holder(access) not in ("", leader), "another replica leads", seconds=30)
        [name] = queue.submit(queue.target("simulated-target.yaml"), "a.spec.ts")
        queue.wait_for_phase(name, "Succeeded")
    finally:
        access.run("scale", DEPLOYMENT, "--namespace", NAMESPACE, "--replicas=1")
        wait_for_operator(access)


def lease_holder(access: Access) -> str:
    argv = ("get", "lease", "qgjob-operator", "--namespace", NAMESPACE)
    return access.run(*argv, "--output", "jsonpath={.spec.holderIdentity}")


def test_a_pod_that_cannot_start_says_why(queue: Queue) -> None:
    target = slow_target(queue)
    change = {"spec": {"image": "registry.invalid/no/such:image", "timeouts": {"startSeconds": 20}}}
    queue.kubectl("patch", "testtarget", target, "--type=merge", f"--patch={json.dumps(change)}")

    [name] = queue.submit(target, "a.spec.ts")

    started = time.monotonic()
    eventually(
        lambda: "mage" in queue.job(name)["status"].get("reason", ""), "its image is blamed", queue.explain
    )
    assert time.monotonic() - started < 45
    queue.qgjob("cancel", name)
