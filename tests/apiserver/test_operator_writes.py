"""How much is written for a test: counted by the API server itself. Writes are what limits the queue's speed."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_TARGETS
from tests.apiserver.operator_support import Fleet, batches, operating, wait_for_phase
from tests.apiserver.runner_support import World, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

PER_TEST_JOB = 4
#: Pods and the Job controller's own writes come on top on a cluster with nodes; together at most 20, Events aside.
PER_BATCH = 10
JOBS = 12
SAMPLE = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$")


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


def test_a_passing_test_job_costs_four_writes_and_a_batch_few(
    crds: ThrowawayControlPlane, world: World
) -> None:
    devices = [{"name": f"phone-{number}", "address": f"127.0.0.1:{number}"} for number in (1, 2)]
    world.target(provider={"devices": devices}, batch={"maxTests": 4})
    with operating(world), Fleet(world):
        # What a namespace and a target cost once is none of this.
        eventually(lambda: is_ready(world))
        before = writes(crds)
        for number in range(JOBS):
            world.job(f"j{number}", appVersionId=f"v{number % 2}")
        wait_for_phase(world, "Succeeded")
        eventually(lambda: all_free(world))
        spent = writes(crds) - before

    test_jobs = spent.pop("testjobs")
    assert test_jobs == PER_TEST_JOB * JOBS, spent
    assert sum(spent.values()) <= PER_BATCH * len(batches(world)), spent


def writes(server: ThrowawayControlPlane) -> Counter[str]:
    """Writes that the API server has answered so far, by resource; Leases aside, for they follow the clock."""
    found: Counter[str] = Counter()
    for line in str(server.client.get("/metrics")).splitlines():
        if sample := SAMPLE.match(line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', sample[1]))
            if (
                labels["verb"] in {"POST", "PUT", "PATCH", "APPLY", "DELETE"}
                and labels["resource"] != "leases"
            ):
                found[labels["resource"]] += int(float(sample[2]))
    return found


def is_ready(world: World) -> bool:
    conditions = world.client.get(TEST_TARGETS, "sim").get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def all_free(world: World) -> bool:
    status = world.client.get(TEST_TARGETS, "sim")["status"]
    return bool(status["running"] == 0 and all(each["state"] == "Free" for each in status["devices"]))
