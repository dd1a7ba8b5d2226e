"""A bucket that pods reach: the app comes from there, once a node, and what tests leave goes there."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from hack.s3server import S3Server
from tests.e2e.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.support import Object, Queue

TARGET: Final = "with-bucket"
APP: Final = b"an app" * 100_000
REPORT: Final = """
echo "looked at $QGJOB_TEST"
echo '<testsuite><testcase classname="shop" name="opens"/></testsuite>' > "$QGJOB_REPORT_DIR/report.xml"
"""
TEST: Final = f'test -s "$QGJOB_APP_PATH" || exit 11; {REPORT}'


@pytest.fixture
def bucket(queue: Queue, tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server on this machine at an address that pods reach, with the target that uses it."""
    host = queue.access.run(
        "get", "nodes", "--output=jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    )
    cache = Path("/tmp") / f"cache-{queue.namespace}"
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    with S3Server(tmp_path / "s3", host) as server:
        client = server.client()
        for name in ("builds", "reports"):
            client.create_bucket(Bucket=name)
        client.put_object(Bucket="builds", Key="1.4.0.apk", Body=APP)
        queue.secret("s3", accessKeyId=server.ACCESS_KEY_ID, secretAccessKey=server.SECRET_ACCESS_KEY)
        queue.apply_target(TARGET, target(server, cache))
        yield server
    shutil.rmtree(cache, ignore_errors=True)


def target(server: S3Server, cache: Path, test: str = TEST) -> Object:
    """Commands without a device; app, artifacts and cache are as a team has them."""
    access = {"endpoint": server.url, "credentialsSecret": "s3"}
    return {
        "provider": {"none": {}},
        "driver": {"name": "command", "command": {"test": ["sh", "-c", test]}},
        "app": {"url": "s3://builds/{appVersionId}.apk", "s3": access},
        "artifacts": {"s3": {**access, "bucket": "reports"}},
        "cache": {"volume": {"hostPath": {"path": str(cache)}}},
        "parallelism": 1,
    }


def test_what_tests_leave_is_there_when_their_pod_is_gone(
    queue: Queue, bucket: S3Server, tmp_path: Path
) -> None:
    [name] = queue.submit(TARGET, "open.sh", version="1.4.0")
    [job] = queue.wait_until_over(name)
    assert job["status"]["phase"] == "Succeeded", job["status"]
    assert job["status"]["attempts"][0]["artifacts"].startswith(f"{bucket.url}/reports/")
    wait_until_the_pod_is_over(queue, job)

    queue.kubectl("delete", "pod", job["status"]["pod"], "--wait")

    assert "looked at open.sh" in done(queue, "logs", name)
    files = json.loads(done(queue, "artifacts", name, "--output=json", f"--download={tmp_path / 'got'}"))
    assert {"log.txt", "attempt.json", "report.xml"} <= {each["name"] for each in files["files"]}
    assert "looked at open.sh" in (tmp_path / "got" / "log.txt").read_text()
    done(queue, "report", f"--junit={tmp_path / 'all.xml'}", name)
    assert 'name="opens"' in (tmp_path / "all.xml").read_text()


def test_a_node_downloads_an_app_version_once(queue: Queue, bucket: S3Server) -> None:
    first = queue.wait_until_over(*queue.submit(TARGET, "a.sh", "b.sh", version="1.4.0"))
    second = queue.wait_until_over(*queue.submit(TARGET, "c.sh", version="1.4.0"))

    assert {job["status"]["phase"] for job in (*first, *second)} == {"Succeeded"}
    assert len({job["status"]["batch"] for job in (*first, *second)}) == 2
    assert bucket.requests("GET", "/builds/1.4.0.apk") == 1


def test_results_come_in_time_while_the_store_is_down(queue: Queue, bucket: S3Server) -> None:
    spec = target(bucket, Path("/tmp"), test=REPORT)
    del spec["app"]
    queue.apply_target(TARGET, spec)
    bucket.stop()
    begun = time.monotonic()

    names = queue.submit(TARGET, "a.sh", "b.sh", version="1.4.0")
    jobs = queue.wait_until_over(*names, seconds=60)

    assert time.monotonic() - begun < 20
    assert {job["status"]["phase"] for job in jobs} == {"Succeeded"}
    [batch] = queue.batches()
    assert batch["status"]["phase"] == "Completed"
    bucket.start()
    wait_until_the_pod_is_over(queue, jobs[0])
    assert done(queue, "artifacts", names[0])


def wait_until_the_pod_is_over(queue: Queue, job: Object) -> None:
    def over() -> bool:
        return bool(queue.pod_of(job)["status"]["phase"] == "Succeeded")

    eventually(over, "the pod is over", queue.explain, seconds=70)


def done(queue: Queue, *arguments: str) -> str:
    """What a command prints that must succeed."""
    ended = queue.qgjob(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
