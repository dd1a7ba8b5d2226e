"""What a batch leaves behind, in a real S3 server that goes away and comes back, and on a volume."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.apiserver.runner_support import World, command, eventually
from tests.apiserver.stored_support import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from hack.s3server import S3Server

JUNIT = """echo '<testsuite name="s"><testcase name="shows the cart"/></testsuite>' > "$QGJOB_REPORT_DIR/junit.xml";"""
FAILS = """echo '<testsuite name="s"><testcase name="pays"><failure message="typed correct-horse"/></testcase>
</testsuite>' > "$QGJOB_REPORT_DIR/junit.xml"; exit 1"""


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def env(s3: S3Server, tmp_path: Path) -> dict[str, str]:
    """What a pod has that may store there."""
    s3.write_secret(tmp_path / "secrets" / "artifacts-s3")
    return {"QGJOB_SECRETS_DIR": str(tmp_path / "secrets")}


def in_bucket(s3: S3Server, **more: Any) -> dict[str, Any]:
    return {"s3": {"endpoint": s3.url, "bucket": BUCKET, "credentialsSecret": "bucket"}, **more}


def stored(s3: S3Server) -> dict[str, bytes]:
    """All objects, by key."""
    client = s3.client()
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def link(world: World, job: str, number: int = 1) -> str:
    return next(str(each["artifacts"]) for each in world.status(job)["attempts"] if each["number"] == number)


def files(world: World, s3: S3Server, job: str) -> dict[str, bytes]:
    """The files of the job's first attempt, found by the link in its status."""
    root = link(world, job).removeprefix(f"{s3.url}/{BUCKET}/")
    return {key.removeprefix(root): data for key, data in stored(s3).items() if key.startswith(root)}


def test_each_attempt_is_stored_where_its_status_says(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    world.target(artifacts=in_bucket(s3), driver=command("echo hello; " + JUNIT))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch, env=env) as runner:
        assert runner.wait() == 0, runner.output

    job = world.client.get("testjobs", "one")
    day, uid = job["status"]["attempts"][0]["startTime"][:10], job["metadata"]["uid"][:8]
    expected = f"{s3.url}/{BUCKET}/qgjob/{world.namespace}/sim/{day}/one-{uid}/1/"
    assert link(world, "one") == expected
    found = files(world, s3, "one")
    assert sorted(found) == ["attempt.json", "junit.xml", "log.txt"]
    assert found["log.txt"] == b"hello\n"
    about = json.loads(found["attempt.json"])
    assert (about["testJob"], about["outcome"], about["cases"]) == ("one", "passed", 1)
    assert sorted(files(world, s3, "two")) == ["attempt.json", "junit.xml", "log.txt"]
    head = s3.client().head_object(Bucket=BUCKET, Key=expected.split(f"/{BUCKET}/")[1] + "junit.xml")
    assert head["ContentType"] == "application/xml"


def test_a_secret_is_masked_wherever_it_goes(world: World, s3: S3Server, env: dict[str, str]) -> None:
    world.target(
        artifacts=in_bucket(s3),
        driver=command("echo password=correct-horse; " + FAILS),
        secretEnv=[{"name": "PASSWORD", "secret": "shop", "key": "password"}],
    )
    batch = world.batch([world.job("one", maxRetries=0)])

    with world.running(batch, env={**env, "PASSWORD": "correct-horse"}) as runner:
        assert runner.wait() == 0, runner.output

    assert "password=***" in runner.output
    assert world.status("one")["message"] == "1 failed: pays: typed ***"
    everything = b"".join(files(world, s3, "one").values())
    assert everything.count(b"***") == 4  # the log twice, JUnit, attempt.json
    assert b"correct-horse" not in everything
    assert "correct-horse" not in runner.output


def test_reports_have_paths_in_the_source_and_the_log_has_them_as_they_were(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    fails = FAILS.replace("typed correct-horse", "'\"$PWD/tests/pay.py:7\"'")
    world.target(artifacts=in_bucket(s3), driver=command('echo "at $PWD/tests/pay.py:7"; ' + fails))

    with world.running(world.batch([world.job("one", maxRetries=0)]), env=env) as runner:
        assert runner.wait() == 0, runner.output

    found = files(world, s3, "one")
    assert world.status("one")["message"] == "1 failed: pays: tests/pay.py:7"
    assert b'<failure message="tests/pay.py:7"/>' in found["junit.xml"]
    assert json.loads(found["attempt.json"])["message"] == "1 failed: pays: tests/pay.py:7"
    assert f"at {world.folder}".encode() in found["log.txt"]


def test_a_store_that_is_down_delays_no_result_and_gets_all_when_it_comes_back(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    s3.stop()
    world.target(artifacts=in_bucket(s3), driver=command(JUNIT))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch, env=env) as runner:
        eventually(lambda: world.batch_status(batch)["phase"] == "Completed", lambda: runner.output)
        assert [world.phase("one"), world.phase("two")] == ["Succeeded", "Succeeded"]
        assert runner.process.poll() is None, "it did not wait for the store"
        s3.start()
        assert runner.wait() == 0, runner.output

    for job in ("one", "two"):
        assert sorted(files(world, s3, job)) == ["attempt.json", "junit.xml", "log.txt"]


def test_a_store_that_stays_down_is_told_and_changes_no_outcome(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    s3.stop()
    world.target(artifacts=in_bucket(s3), driver=command(JUNIT))
    batch = world.batch([world.job("one")])

    with world.running(batch, env=env) as runner:
        runner.wait_for_line("1 passed, 0 failed")
        # Asked again and again, it is in a hurry.
        eventually(lambda: "in time" in runner.output or bool(runner.terminate()), lambda: runner.output)
        assert runner.wait() == 0, runner.output

    assert "artifacts that could not be stored in time: one (attempt 1)" in runner.output
    assert world.phase("one") == "Succeeded"
    status = world.batch_status(batch)
    assert status["phase"] == "Completed"
    assert "could not be stored in time: one (attempt 1)" in status["message"]


def test_a_store_that_dies_within_an_upload_gets_it_again(
    world: World, s3: S3Server, env: dict[str, str], tmp_path: Path
) -> None:
    big = 'head -c 200000000 /dev/zero > "$QGJOB_REPORT_DIR/video.mp4"; '
    world.target(artifacts=in_bucket(s3, maxBytesPerAttempt=300000000), driver=command(big + JUNIT))
    batch = world.batch([world.job("one")])
    objects = tmp_path / "s3" / "data" / BUCKET / "qgjob"

    with world.running(batch, env=env) as runner:
        # By name, the log comes before the video.
        eventually(lambda: any(objects.rglob("log.txt")), lambda: runner.output)
        s3.stop()
        assert not any(objects.rglob("video.mp4")), "it was too fast for this test"
        runner.wait_for_line("1 passed, 0 failed")
        s3.start()
        assert runner.wait() == 0, runner.output

    assert len(files(world, s3, "one")["video.mp4"]) == 200_000_000


def test_a_killed_pod_leaves_results_and_artifacts_of_what_was_over(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    world.target(artifacts=in_bucket(s3), driver=command(f'{JUNIT} test "$QGJOB_JOB_ID" = one || sleep 600'))
    batch = world.batch([world.job("one"), world.job("two")])

    with world.running(batch, env=env) as runner:
        # Beside the second test, which hangs.
        eventually(lambda: len(stored(s3)) == 3, lambda: runner.output)
        runner.kill()

    assert world.phase("one") == "Succeeded"
    assert sorted(files(world, s3, "one")) == ["attempt.json", "junit.xml", "log.txt"]


def test_what_is_older_than_retention_days_is_deleted_in_the_own_targets_part_only(
    world: World, s3: S3Server, env: dict[str, str]
) -> None:
    today = datetime.now(UTC).date()
    old, young = (str(today - timedelta(days=days)) for days in (9, 6))
    root = f"qgjob/{world.namespace}"
    for key in (
        f"{root}/sim/{old}/a-1/1/log.txt",
        f"{root}/sim/{young}/a-1/1/log.txt",
        f"{root}/b/{old}/a-1/1/log.txt",
    ):
        s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"x")
    world.target(artifacts=in_bucket(s3, retentionDays=7), driver=command(JUNIT))

    with world.running(world.batch([world.job("one")]), env=env) as runner:
        assert runner.wait() == 0, runner.output

    days = {"/".join(key.split("/")[2:4]) for key in stored(s3)}
    assert {f"sim/{young}", f"b/{old}"} <= days
    assert f"sim/{old}" not in days


def test_the_largest_files_are_left_out(world: World, s3: S3Server, env: dict[str, str]) -> None:
    big = 'head -c 3000 /dev/zero > "$QGJOB_REPORT_DIR/video.mp4"; '
    world.target(artifacts=in_bucket(s3, maxBytesPerAttempt=2000), driver=command(big + JUNIT))

    with world.running(world.batch([world.job("one")]), env=env) as runner:
        assert runner.wait() == 0, runner.output

    found = files(world, s3, "one")
    assert sorted(found) == ["attempt.json", "junit.xml", "left-out.txt", "log.txt"]
    assert b"video.mp4 (3000 bytes)" in found["left-out.txt"]


def test_a_volume_claim_is_a_store_too(world: World, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    world.target(artifacts={"persistentVolumeClaim": {"claimName": "results"}}, driver=command(JUNIT))

    with world.running(world.batch([world.job("one")]), env={"QGJOB_ARTIFACTS_DIR": str(volume)}) as runner:
        assert runner.wait() == 0, runner.output

    folder = volume / link(world, "one").removeprefix("pvc://results/")
    assert sorted(path.name for path in folder.iterdir()) == ["attempt.json", "junit.xml", "log.txt"]


def test_a_secret_that_is_missing_costs_no_result(world: World, s3: S3Server, tmp_path: Path) -> None:
    world.target(artifacts=in_bucket(s3), driver=command(JUNIT))
    batch = world.batch([world.job("one")])

    with world.running(batch, env={"QGJOB_SECRETS_DIR": str(tmp_path)}) as runner:
        runner.wait_for_line("the Secret bucket is not in")
        eventually(lambda: world.phase("one") == "Succeeded")
