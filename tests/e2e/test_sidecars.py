"""What a batch's pod has beside its runner, on a real node: the courier with its Secrets, and an emulator."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.support import SHOP, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hack.demonstration.phones import Phones
    from tests.e2e.conftest import Cluster
    from tests.e2e.support import Object, Queue

KEY = "s3cret-of-the-builds"
#: What a test finds of the Secret, with all that a test may do.
LOOK = f"""
test -s "$QGJOB_APP_PATH" || exit 11
grep -rs {KEY} /var/run /proc/*/environ /work && exit 12
env | grep PASSWORD=hunter2000 > /dev/null || exit 13
rm -f /var/run/qgjob/courier/socket && exit 14
echo kept > "$QGJOB_REPORT_DIR/note.txt"
echo '<testsuite><testcase name="t"/></testsuite>' > "$QGJOB_REPORT_DIR/report.xml"
"""


@pytest.fixture
def reports(queue: Queue) -> Iterator[str]:
    """A claim whose volume is a folder of the node."""
    name = f"reports-{queue.namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "hostPath": {"path": "/tmp", "type": "Directory"},
            "claimRef": {"name": "reports", "namespace": queue.namespace},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "reports"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "volumeName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    for each in (volume, claim):
        queue.kubectl("apply", "--filename", "-", stdin=json.dumps(each))
    yield "reports"
    queue.kubectl("delete", "persistentvolume", name, "--wait=false")
    # On a node that is this machine.
    shutil.rmtree(Path("/tmp") / queue.namespace, ignore_errors=True)


def apply_target(queue: Queue, name: str, spec: Object) -> None:
    body = {
        "apiVersion": "qgjob.dev/v1alpha1",
        "kind": "TestTarget",
        "metadata": {"name": name},
        "spec": spec,
    }
    queue.kubectl("apply", "--filename", "-", stdin=json.dumps(body))


def secret(queue: Queue, name: str, key: str, value: str) -> None:
    queue.kubectl("create", "secret", "generic", name, f"--from-literal={key}={value}")


def pod_of(queue: Queue, job: Object) -> Object:
    found: Object = json.loads(queue.kubectl("get", "pod", job["status"]["pod"], "--output=json"))
    return found


def shop_url(queue: Queue, phones: Phones) -> str:
    assert phones.namespace == queue.namespace
    address = queue.kubectl("get", "service", "apps", "--output=jsonpath={.spec.clusterIP}")
    found: dict[str, Any] = json.loads(queue.kubectl("get", "testtarget", "phones", "--output=json"))
    url = str(found["spec"]["app"]["url"])
    assert address in url
    return url


def test_a_courier_has_the_secrets_and_a_missing_one_is_told_in_time(
    queue: Queue, phones: Phones, reports: str
) -> None:
    secret(queue, "account", "password", "hunter2000")
    apply_target(
        queue,
        "with-secrets",
        {
            "provider": {"none": {}},
            "driver": {"name": "command", "command": {"test": ["sh", "-c", LOOK]}},
            "app": {"url": shop_url(queue, phones), "headersSecret": "builds"},
            "secretEnv": [{"name": "PASSWORD", "secret": "account", "key": "password"}],
            "artifacts": {"persistentVolumeClaim": {"claimName": reports}},
            "cache": {"volume": {"emptyDir": {}}},
        },
    )
    begun = time.monotonic()
    [name] = queue.submit("with-secrets", "any", version="1.4.0", max_retries=0)

    def told() -> bool:
        return bool(queue.job(name)["status"].get("reason") == "SecretNotFound")

    eventually(told, "the TestJob says which Secret is missing", queue.explain, seconds=60)
    assert time.monotonic() - begun < 35
    assert "there is no Secret builds" in queue.job(name)["status"]["message"]

    secret(queue, "builds", "X-Api-Key", KEY)
    [job] = queue.wait_until_over(name, seconds=240)

    assert job["status"]["phase"] == "Succeeded", job["status"]
    log = queue.kubectl("logs", job["status"]["pod"], "--container=courier")
    assert "downloaded app version 1.4.0" in log
    assert job["status"]["attempts"][0]["artifacts"].startswith("pvc://reports/")

    def over() -> bool:
        return bool(pod_of(queue, job)["status"]["phase"] == "Succeeded")

    eventually(over, "the courier ends with the runner", queue.explain, seconds=20)


def test_an_emulator_lives_as_long_as_its_batch(queue: Queue, phones: Phones, cluster: Cluster) -> None:
    image = next(each for each in cluster.images if each.name == "phone")
    phone = {"name": "emulator", "args": ["serve", "--port", "5557", "--control-port", "8081"]}
    apply_target(
        queue,
        "emulators",
        {
            "provider": {"emulator": {"image": image.reference, "port": 5557}},
            "app": {"url": shop_url(queue, phones)},
            "parallelism": 1,
            "podTemplate": {"spec": {"initContainers": [phone]}},
        },
    )

    names = queue.submit(
        "emulators", "tests/login.spec.ts", "tests/basket.spec.ts", version="1.4.0", source_dir=SHOP
    )
    jobs = queue.wait_until_over(*names, seconds=300)

    for job in jobs:
        assert job["status"]["phase"] == "Succeeded", job["status"]
        assert job["status"]["attempts"][-1]["device"] == "emulator"
    assert len({job["status"]["batch"] for job in jobs}) == 1

    def over() -> bool:
        return bool(pod_of(queue, jobs[0])["status"]["phase"] == "Succeeded")

    eventually(over, "the emulator ends with the runner", queue.explain, seconds=30)
