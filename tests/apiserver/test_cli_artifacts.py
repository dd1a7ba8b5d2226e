"""`qgjob artifacts`, `qgjob report` and stored logs, against a real API server and a real S3 server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from tests.apiserver.machine import own_address
from tests.apiserver.runner_support import eventually
from tests.apiserver.stored_support import BUCKET, Stored, put

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from hack.s3server import S3Server
    from tests.apiserver.cli_support import Cli, Operator

JUNIT = '<testsuite name="s"><testcase name="pays" classname="shop">{}</testcase></testsuite>'


@pytest.mark.usefixtures("secret")
def test_files_are_listed_with_links(cli: Cli, operator: Operator, bucket: Stored, s3: S3Server) -> None:
    operator.create("a")
    key = bucket.attempt("a", "passed")
    put(s3, key, log_txt="hello\n", junit_xml="<testsuite/>")

    answer = cli.run("artifacts", "a")

    assert answer.code == 0, answer.stderr
    assert answer.json == {
        "job_id": "a",
        "attempt": 1,
        "url": f"{s3.url}/{BUCKET}/{key}",
        "files": [
            {"name": "junit.xml", "size": 12, "url": f"{s3.url}/{BUCKET}/{key}junit.xml"},
            {"name": "log.txt", "size": 6, "url": f"{s3.url}/{BUCKET}/{key}log.txt"},
        ],
    }


@pytest.mark.usefixtures("secret")
def test_the_files_of_one_attempt_are_downloaded(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a")
    first = bucket.attempt("a", "failed", "no button")
    put(s3, first, log_txt="first\n")
    s3.client().put_object(Bucket=BUCKET, Key=f"{first}html-report/data/x.png", Body=b"\x89PNG\0")
    put(s3, bucket.attempt("a", "passed"), log_txt="second\n")

    answer = cli.run("artifacts", "a", "--attempt", "1", "--download", "out")

    assert answer.code == 0, answer.stderr
    assert (cli.folder / "out" / "log.txt").read_text() == "first\n"
    assert (cli.folder / "out" / "html-report" / "data" / "x.png").read_bytes() == b"\x89PNG\0"
    assert "1/2 html-report/data/x.png (5 B)" in answer.stderr
    assert answer.json["files"][1]["path"] == "out/log.txt"


@pytest.mark.usefixtures("secret")
def test_a_name_as_long_as_a_name_can_be_is_downloaded(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a")
    name = "x" * 255
    key = bucket.attempt("a", "passed")
    s3.client().put_object(Bucket=BUCKET, Key=f"{key}{name}", Body=b"long")

    answer = cli.run("artifacts", "a", "--download", "out")

    assert answer.code == 0, answer.stderr
    assert [path.name for path in (cli.folder / "out").iterdir()] == [name]


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("name", ["../../outside.txt", "a//b", "..\\outside.txt"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    crds: ThrowawayControlPlane, cli: Cli, operator: Operator, bucket: Stored, name: str
) -> None:
    operator.create("a")
    bucket.attempt("a", "passed")
    # The server of these tests keeps objects as files, which can't have such names; others can.
    program = (
        "import sys\n"
        "from qgjob.cli.artifacts import base, bucket\n"
        f"bucket.BucketReader.files = lambda self, key: [base.StoredFile({name!r}, 1)]\n"
        "from qgjob.cli.main import run\n"
        f"sys.argv = ['qgjob', '--kubeconfig', {str(crds.kubeconfig)!r}, '-n', {operator.namespace!r}, "
        "'artifacts', 'a', '--download', 'out']\n"
        "run()\n"
    )

    run = subprocess.run(
        [sys.executable, "-c", program], cwd=cli.folder, capture_output=True, text=True, check=False
    )

    assert run.returncode == 2
    assert "which could lead out of a folder" in run.stderr
    assert not (cli.folder / "out").exists()


def test_ones_own_credentials_do_where_the_secret_is_not_to_be_read(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a")
    put(s3, bucket.attempt("a", "passed"), log_txt="hello\n")
    own = {"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": s3.SECRET_ACCESS_KEY}

    answer = cli.run("artifacts", "a", **own)

    assert answer.code == 0, answer.stderr
    assert "the Secret bucket is not there: using your own AWS credentials" in answer.stderr
    assert [file["name"] for file in answer.json["files"]] == ["log.txt"]


def test_without_any_credentials_it_says_what_to_set(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a")
    bucket.attempt("a", "passed")

    answer = cli.run("artifacts", "a", HOME=str(cli.folder), AWS_EC2_METADATA_DISABLED="true")

    assert answer.code == 4
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in answer.stderr


@pytest.mark.usefixtures("secret")
def test_a_store_that_is_elsewhere_for_people_is_named_by_a_variable(
    cli: Cli, operator: Operator, s3: S3Server
) -> None:
    inside = {"endpoint": "http://127.0.0.1:9", "bucket": BUCKET, "credentialsSecret": "bucket"}
    stored = Stored(operator, {"s3": inside})
    operator.create("a")
    put(s3, stored.attempt("a", "passed"), log_txt="hello\n")

    unreachable = cli.run("artifacts", "a")
    answer = cli.run("artifacts", "a", AWS_ENDPOINT_URL_S3=s3.url)

    assert unreachable.code == 4
    assert "can't be reached from here" in unreachable.stderr
    assert "AWS_ENDPOINT_URL_S3" in unreachable.stderr
    assert answer.code == 0, answer.stderr


@pytest.mark.usefixtures("secret")
def test_what_is_not_there_is_told(cli: Cli, operator: Operator, bucket: Stored, s3: S3Server) -> None:
    operator.create("none-kept")
    operator.run_to("none-kept", "passed")
    operator.create("waiting")
    operator.create("lost")
    bucket.attempt("lost", "passed")

    assert "job none-kept has no artifacts" in cli.run("artifacts", "none-kept").stderr
    assert (
        "job waiting has no artifacts: no attempt of it is over yet" in cli.run("artifacts", "waiting").stderr
    )
    assert "has no attempt 7" in cli.run("artifacts", "lost", "--attempt", "7").stderr
    assert "nothing is stored at" in cli.run("artifacts", "lost").stderr


@pytest.mark.usefixtures("secret")
def test_the_stored_log_is_shown_when_the_pod_is_gone(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a")
    key = bucket.attempt("a", "passed")
    put(s3, key, log_txt="one\n\ntwo\n")

    answer = cli.run("logs", "a")

    assert (answer.code, answer.stdout) == (0, "one\n\ntwo\n")
    assert (
        "the pod tb-1-pod of attempt 1 is gone, and its log with it: this is what was stored" in answer.stderr
    )
    assert f"{key}log.txt" in answer.stderr


@pytest.mark.usefixtures("secret")
def test_attempts_are_merged_from_their_stored_reports(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("flaky", test="pay.spec.ts")
    failed = bucket.attempt("flaky", "failed", "no button")
    put(s3, failed, junit_xml=JUNIT.format('<failure message="no button"/>'))
    put(s3, bucket.attempt("flaky", "passed"), junit_xml=JUNIT.format(""))
    operator.create("plain", test="plain.spec.ts", maxRetries=0)
    operator.run_to("plain", "failed", "no basket")
    operator.create("waiting", test="waiting.spec.ts")

    answer = cli.run("report", "--junit", "all.xml", "flaky", "plain", "waiting")

    assert answer.code == 0, answer.stderr
    root = ET.fromstring((cli.folder / "all.xml").read_bytes())
    cases = {
        (suite.get("name"), case.get("name")): [child.tag for child in case]
        for suite in root
        for case in suite.iter("testcase")
    }
    assert cases == {
        ("pay.spec.ts", "pays"): ["flakyFailure"],
        ("plain.spec.ts", "plain.spec.ts"): ["failure"],
        ("waiting.spec.ts", "waiting.spec.ts"): ["skipped"],
    }
    assert answer.last_line == "qgjob: 3 jobs: 3 tests, 1 failures, 1 skipped, 1 flaky"


def test_what_could_not_be_run_is_an_error_in_a_report(cli: Cli, operator: Operator) -> None:
    operator.create("a", test="pay.spec.ts")
    operator.run_to("a", "failed", "pay.spec.ts:3: SyntaxError: no", final_reason="SourceInvalid")

    answer = cli.run("report", "--junit", "-", "a")

    [case] = ET.fromstring(answer.stdout).iter("testcase")
    assert [(child.tag, child.get("message")) for child in case] == [
        ("error", "SourceInvalid: pay.spec.ts:3: SyntaxError: no")
    ]
    assert answer.last_line == "qgjob: 1 jobs: 1 tests, 1 errors"


@pytest.mark.usefixtures("secret")
def test_a_report_goes_by_statuses_where_the_store_can_not_be_read(
    cli: Cli, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    operator.create("a", test="pay.spec.ts")
    bucket.attempt("a", "passed")
    s3.stop()

    answer = cli.run("report", "--junit", "-", "a")

    assert answer.code == 0
    assert [case.get("name") for case in ET.fromstring(answer.stdout).iter("testcase")] == ["pay.spec.ts"]
    assert "going by statuses alone" in answer.stderr


def test_a_volume_is_read_through_a_pod_that_is_deleted_afterwards(
    crds: ThrowawayControlPlane, cli: Cli, operator: Operator, tmp_path: Path
) -> None:
    claim = {"persistentVolumeClaim": {"claimName": "results"}}
    stored = Stored(operator, claim)
    account = f"/api/v1/namespaces/{operator.namespace}/serviceaccounts"
    crds.client.create(account, {"metadata": {"name": "qgjob-runner"}})
    operator.create("a")
    key = stored.attempt("a", "passed")
    volume = tmp_path / "volume"
    (volume / key / "html-report").mkdir(parents=True)
    (volume / key / "log.txt").write_text("hello\n")
    (volume / key / "html-report" / "a b%.png").write_bytes(b"\x89PNG\n\0\n")

    running = cli.start("artifacts", "a", "--download", "out", "--image", "runner:1")
    node = threading.Thread(target=play_kubelet, args=(operator, volume))
    node.start()
    answer = running.end()
    node.join()

    assert answer.code == 0, answer.stderr
    assert (cli.folder / "out" / "log.txt").read_text() == "hello\n"
    assert (cli.folder / "out" / "html-report" / "a b%.png").read_bytes() == b"\x89PNG\n\0\n"
    assert json.loads(answer.stdout)["url"] == f"pvc://results/{key}"
    left = operator.client.list("pods", api_version="v1")
    assert [pod for pod in left if not pod["metadata"].get("deletionTimestamp")] == []


def play_kubelet(operator: Operator, volume: Path) -> None:
    """Runs the pod's program on this machine, with its volume, until the pod is deleted."""

    def pods() -> list[dict[str, Any]]:
        return list(operator.client.list("pods", api_version="v1"))

    eventually(lambda: bool(pods()))
    (pod,) = pods()
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "testrunner.artifacts.reader"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "results", "readOnly": True}
    arguments = [word.replace("/artifacts/", f"{volume}/", 1) for word in container["args"]]
    address = own_address()
    process = subprocess.Popen(
        [sys.executable, "-m", "testrunner.artifacts.reader", *arguments, "--host", address]
    )
    try:
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        name = pod["metadata"]["name"]
        operator.client.patch(
            "pods", name, {"status": status}, kind="merge", subresource="status", api_version="v1"
        )
        eventually(lambda: all(each["metadata"].get("deletionTimestamp") for each in pods()))
    finally:
        process.kill()
        process.wait()
