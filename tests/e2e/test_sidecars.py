"""What a batch's pod has beside its runner, on a real node: the courier with its Secrets, and an emulator."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hack.demonstration.phones import Phones
    from tests.e2e.support import Queue

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


def test_a_courier_has_the_secrets_and_a_missing_one_is_told_in_time(
    queue: Queue, phones: Phones, reports: str
) -> None:
    queue.secret("account", password="hunter2000")
    queue.apply_target(
        "with-secrets",
        {
            "provider": {"none": {}},
            "driver": {"name": "command", "command": {"test": ["sh", "-c", LOOK]}},
            "app": {"url": phones.app_url, "headersSecret": "builds"},
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

    queue.secret("builds", **{"X-Api-Key": KEY})
    [job] = queue.wait_until_over(name, seconds=240)

    assert job["status"]["phase"] == "Succeeded", job["status"]
    log = queue.kubectl("logs", job["status"]["pod"], "--container=courier")
    assert "downloaded app version 1.4.0" in log
    assert job["status"]["attempts"][0]["artifacts"].startswith("pvc://reports/")

    def over() -> bool:
        return bool(queue.pod_of(job)["status"]["phase"] == "Succeeded")

    eventually(over, "the courier ends with the runner", queue.explain, seconds=20)
