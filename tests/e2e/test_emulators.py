"""Emulators in their batches' pods, with the simulated phone in the emulator's place."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.e2e.support import SHOP, eventually

if TYPE_CHECKING:
    from hack.demonstration.phones import Phones
    from tests.e2e.conftest import Cluster
    from tests.e2e.support import Object, Queue

LOGIN, BASKET, VERSION = "tests/login.spec.ts", "tests/basket.spec.ts", "tests/version.spec.ts"
#: Ends process 1 of a container, as a crash does.
CRASH = "import os; os.kill(1, 15)"


def emulators(
    cluster: Cluster, queue: Queue, phones: Phones, *options: str, boot_seconds: int = 60, **spec: Object
) -> str:
    """A target with an emulator per batch, whose phone is started with the options; returns its name."""
    image = next(each for each in cluster.images if each.name == "phone")
    arguments = ["serve", "--port", "5557", "--control-port", "8081", *options]
    queue.apply_target(
        "emulators",
        {
            "provider": {"emulator": {"image": image.reference, "port": 5557, "bootSeconds": boot_seconds}},
            "app": {"url": phones.app_url},
            "parallelism": 1,
            "podTemplate": {"spec": {"initContainers": [{"name": "emulator", "args": arguments}]}},
            **spec,
        },
    )
    return "emulators"


def wait_until_the_pod_is_over(queue: Queue, pod: str, seconds: float) -> None:
    def over() -> bool:
        status = json.loads(queue.kubectl("get", "pod", pod, "--output=json"))["status"]
        return status["phase"] in ("Succeeded", "Failed")

    eventually(over, "the emulator ends with the runner", queue.explain, seconds=seconds)


def test_an_emulator_lives_as_long_as_its_batch(queue: Queue, phones: Phones, cluster: Cluster) -> None:
    target = emulators(cluster, queue, phones)

    names = queue.submit(target, LOGIN, BASKET, version="1.4.0", source_dir=SHOP)
    jobs = queue.wait_until_over(*names, seconds=300)

    for job in jobs:
        assert job["status"]["phase"] == "Succeeded", job["status"]
        assert job["status"]["attempts"][-1]["device"] == "emulator"
    assert len({job["status"]["batch"] for job in jobs}) == 1
    wait_until_the_pod_is_over(queue, jobs[0]["status"]["pod"], seconds=15)


def test_an_emulator_that_never_boots(queue: Queue, phones: Phones, cluster: Cluster) -> None:
    retry = {"infrastructureRetries": 1, "backoffSeconds": 1}
    target = emulators(cluster, queue, phones, "--boot-seconds=9999", boot_seconds=6, retry=retry)
    begun = time.monotonic()

    names = queue.submit(target, LOGIN, BASKET, version="1.4.0", source_dir=SHOP, max_retries=0)
    waiting = [queue.wait_for_phase(name, "Retrying", seconds=60)["status"] for name in names]

    assert time.monotonic() - begun < 40
    for status in waiting:
        assert (status["failures"], status["infrastructureFailures"]) == (0, 1), status
        assert status["reason"] == "EmulatorNotBooted"
        assert "bootSeconds" in status["message"], "it must say what to change"
    wait_until_the_pod_is_over(queue, waiting[0]["attempts"][0]["pod"], seconds=15)

    # Its place is free again: the next batch is made, and meets the same.
    for job in queue.wait_until_over(*names, seconds=90):
        assert (job["status"]["phase"], job["status"]["reason"]) == ("DeadLettered", "Infrastructure")
        assert "has not booted" in job["status"]["message"]
    assert len(queue.batches()) == 2


def test_an_emulator_that_crashes_in_the_middle_of_a_test(
    queue: Queue, phones: Phones, cluster: Cluster
) -> None:
    target = emulators(cluster, queue, phones, retry={"backoffSeconds": 1})
    names = queue.submit(target, LOGIN, VERSION, version="1.4.0", source_dir=SHOP, max_retries=0)
    running = queue.wait_for_phase(names[0], "Running")
    pod = running["status"]["pod"]

    def in_use() -> bool:
        return "session-start" in queue.kubectl("logs", pod, "--container=emulator")

    eventually(in_use, "the test uses the emulator", queue.explain)
    queue.access.run(
        *("exec", pod, "--namespace", queue.namespace, "--container=emulator", "--"),
        *("python3", "-c", CRASH),
    )

    jobs = queue.wait_until_over(*names, seconds=200)
    for job in jobs:
        assert (job["status"]["phase"], job["status"]["failures"]) == ("Succeeded", 0), job["status"]
    crashed, *others = (job["status"] for job in jobs)
    assert [attempt["outcome"] for attempt in crashed["attempts"]] == ["infrastructure", "passed"]
    assert "emulator" in crashed["attempts"][0]["message"]
    for status in others:
        # Nothing ran on an emulator that had lost the app: the rest was given back, and had another one.
        assert [attempt["outcome"] for attempt in status["attempts"]] == ["passed"]
        assert status["attempts"][0]["pod"] != pod
