"""What is wrong with a phone or an app is not the test's fault, and says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.support import SHOP, eventually

if TYPE_CHECKING:
    from hack.demonstration.phones import Phones
    from tests.e2e.support import Queue

LOGIN = "tests/login.spec.ts"


@pytest.fixture
def target(queue: Queue, phones: Phones) -> str:
    """The phones, with a small budget for what is not the test's fault."""
    assert phones.namespace == queue.namespace
    change = {
        "spec": {"retry": {"infrastructureRetries": 1, "backoffSeconds": 1}, "timeouts": {"fenceSeconds": 10}}
    }
    queue.kubectl("patch", "testtarget", "phones", "--type=merge", f"--patch={json.dumps(change)}")
    return "phones"


def test_a_phone_that_vanishes_in_the_middle_of_a_test(queue: Queue, phones: Phones, target: str) -> None:
    queue.kubectl("patch", "testtarget", target, "--type=merge", '--patch={"spec":{"parallelism":1}}')
    [name] = queue.submit(target, LOGIN, version="1.4.0", source_dir=SHOP, max_retries=0)
    job = queue.wait_for_phase(name, "Running")
    batch = next(each for each in queue.batches() if each["metadata"]["name"] == job["status"]["batch"])
    lost = batch["spec"]["device"]["name"]
    eventually(lambda: bool(phones.events(lost, "session-start")), "the test uses the phone", queue.explain)

    phones.break_phone(lost, "vanish")

    first = queue.wait_for_phase(name, "Retrying", "Scheduled", "DeadLettered", "Succeeded")["status"]
    assert (first["failures"], first["infrastructureFailures"]) == (0, 1), first
    phones.break_phone(lost, "none")
    [over] = queue.wait_until_over(name)
    assert over["status"]["phase"] == "Succeeded"


def test_an_app_that_does_not_install(queue: Queue, target: str) -> None:
    names = queue.submit(
        target, LOGIN, "tests/basket.spec.ts", version="1.4.0-uninstallable", source_dir=SHOP
    )

    for job in queue.wait_until_over(*names):
        status = job["status"]
        assert (status["phase"], status["reason"]) == ("DeadLettered", "AppInvalid")
        assert len(status["attempts"]) == 1, "it was tried again"
        assert "INSTALL_FAILED" in status["message"]


def test_an_app_version_that_does_not_exist(queue: Queue, target: str) -> None:
    [name] = queue.submit(target, LOGIN, version="no-such-version", source_dir=SHOP)

    [job] = queue.wait_until_over(name)

    assert (job["status"]["phase"], job["status"]["reason"]) == ("DeadLettered", "AppVersionNotFound")
    assert len(queue.batches()) == 1, "it was tried again"


def test_a_test_file_that_does_not_exist(queue: Queue, target: str) -> None:
    [there] = queue.submit(target, LOGIN, version="1.4.0", source_dir=SHOP)
    missing = queue.job(there)
    missing["metadata"] = {"name": "missing"}
    missing["spec"]["test"] = "tests/missing.spec.ts"
    queue.kubectl("create", "--filename", "-", stdin=json.dumps(missing))

    missing, found = queue.wait_until_over("missing", there)

    assert (missing["status"]["phase"], missing["status"]["reason"]) == ("DeadLettered", "TestNotFound")
    assert found["status"]["phase"] == "Succeeded"


def test_a_phone_that_is_offline_is_quarantined_and_comes_back(queue: Queue, phones: Phones) -> None:
    only = {"devices": [device_of(queue, "phone-1")]}
    change = {
        "spec": {
            "provider": only,
            "health": {"failures": 1, "backoffSeconds": 5},
            "retry": {"backoffSeconds": 1},
        }
    }
    queue.kubectl("patch", "testtarget", "phones", "--type=merge", f"--patch={json.dumps(change)}")
    phones.break_phone("phone-1", "vanish")

    [name] = queue.submit("phones", LOGIN, version="1.4.0", source_dir=SHOP)
    eventually(
        lambda: pool(queue)["devices"][0]["state"] == "Quarantined", "phone-1 is quarantined", queue.explain
    )
    assert pool(queue)["devices"][0]["reason"] == "DeviceOffline"
    eventually(lambda: ready(queue)["reason"] == "NoHealthyDevice", "the target says so", queue.explain)

    phones.break_phone("phone-1", "none")
    [over] = queue.wait_until_over(name)
    assert over["status"]["phase"] == "Succeeded"
    assert over["status"]["infrastructureFailures"] == 1, "a trial was charged for"
    eventually(lambda: pool(queue)["devices"][0]["state"] == "Free", "phone-1 is free", queue.explain)
    eventually(lambda: ready(queue)["status"] == "True", "the target is ready", queue.explain)


def pool(queue: Queue) -> dict[str, Any]:
    """What the target's status says."""
    target = json.loads(queue.kubectl("get", "testtarget", "phones", "--output=json"))
    status: dict[str, Any] = target["status"]
    return status


def ready(queue: Queue) -> dict[str, Any]:
    """The target's condition Ready."""
    return next(each for each in pool(queue)["conditions"] if each["type"] == "Ready")


def device_of(queue: Queue, name: str) -> dict[str, Any]:
    """An entry of the target's list of devices."""
    target = json.loads(queue.kubectl("get", "testtarget", "phones", "--output=json"))
    devices: list[dict[str, Any]] = target["spec"]["provider"]["devices"]
    return next(each for each in devices if each["name"] == name)
