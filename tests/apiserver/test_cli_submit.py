"""`qgjob submit` against a real API server: what it creates, prints and refuses."""

from __future__ import annotations

import base64
import io
import json
import random
import tarfile
from typing import TYPE_CHECKING

import pytest
import yaml

from qgjob.api.constants import API_VERSION, TEST_JOBS, TEST_TARGETS
from qgjob.cli import identifiers
from qgjob.client import ApiError
from tests.apiserver.cli_support import NEEDED, Cli, Object, Operator, names

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

MANIFEST = """\
apiVersion: qgjob.dev/v1alpha1
kind: TestJob
metadata: {name: NAME}
spec: {orgId: acme, appVersionId: app-1, test: a.spec.ts, target: phones, priority: PRIORITY}
"""


def test_a_test_is_queued(cli: Cli, operator: Operator) -> None:
    answer = cli.submit("--test", "tests/login.spec.ts", "--job-id", "ci-1", "--priority", "7")

    assert answer.code == 0
    assert answer.json == {"job_id": "ci-1", "status": "queued", "details": "Job enqueued to queue:p7"}
    assert operator.job("ci-1")["spec"] == {
        "orgId": "acme",
        "appVersionId": "app-1",
        "test": "tests/login.spec.ts",
        "target": "phones",
        "priority": 7,
        "maxRetries": 3,
        "isolation": "clear",
        "env": [],
        "cancel": False,
        "replays": 0,
    }


def test_every_option_reaches_the_spec(cli: Cli, operator: Operator) -> None:
    options = [
        "--max-retries",
        "0",
        "--timeout",
        "60",
        "--env",
        "A=b=c",
        "--isolation",
        "reinstall",
        "--ttl",
        "0",
    ]
    git = ["--git", "https://example.com/app.git", "--git-revision", "v1", "--git-path", "e2e"]

    spec = operator.job(cli.submitted(*options, *git))["spec"]

    assert (spec["maxRetries"], spec["timeoutSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 60, 0)
    assert spec["env"] == [{"name": "A", "value": "b=c"}]
    assert spec["isolation"] == "reinstall"
    assert spec["source"] == {
        "git": {"repository": "https://example.com/app.git", "revision": "v1", "path": "e2e"}
    }


def test_several_tests_are_an_array_in_the_order_given(cli: Cli) -> None:
    answer = cli.submit("--test", "b.ts", "--test", "a.ts")

    ids = [row["job_id"] for row in answer.json]
    assert len(ids) == 2
    assert ids == sorted(ids)


def test_a_table_is_for_people(cli: Cli) -> None:
    answer = cli.submit("--test", "a.ts", "--job-id", "ci-1", "-o", "table")

    assert answer.stdout == "ci-1  a.ts  queued at priority 5 for target phones\n"
    assert "qgjob: follow with: qgjob wait ci-1\n" in answer.stderr


def test_quiet_says_nothing_beside_the_result(cli: Cli) -> None:
    assert cli.submit("--test", "a.ts", "--quiet", "-o", "table").stderr == ""


# The same job id again


def test_the_same_submission_again_changes_nothing_and_succeeds(cli: Cli, operator: Operator) -> None:
    submission = ("--test", "a.ts", "--job-id", "ci-1", "--env", "A=1")
    cli.submit(*submission)
    operator.run_to("ci-1", "passed")
    before = operator.job("ci-1")

    answer = cli.submit(*submission)

    assert answer.code == 0
    assert answer.json == {
        "job_id": "ci-1",
        "status": "completed",
        "details": "Job already submitted: Passed",
    }
    assert operator.job("ci-1") == before


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (["--priority", "9"], "priority: 5 there, 9 here"),
        (["--max-retries", "0"], "maxRetries: 3 there, 0 here"),
        (["--env", "A=1"], "env: none there, A=1 here"),
        (["--timeout", "9"], "timeoutSeconds: none there, 9 here"),
        (["--ttl", "0"], "ttlSecondsAfterFinished: none there, 0 here"),
    ],
)
def test_other_content_under_the_same_id_is_refused_and_changes_nothing(
    cli: Cli, operator: Operator, other: list[str], words: str
) -> None:
    cli.submit("--test", "a.ts", "--job-id", "ci-1")
    before = operator.job("ci-1")

    answer = cli.submit("--test", "a.ts", "--job-id", "ci-1", *other)

    assert answer.code == 2
    assert answer.stdout == ""
    assert f"job 'ci-1' exists with other content ({words}); nothing was changed." in answer.stderr
    assert operator.job("ci-1") == before


def test_a_cancelled_job_is_still_the_same_submission(cli: Cli) -> None:
    cli.submit("--test", "a.ts", "--job-id", "ci-1")
    cli.run("cancel", "ci-1")

    assert cli.submit("--test", "a.ts", "--job-id", "ci-1").code == 0


def test_of_several_submissions_at_once_one_creates_and_all_succeed(cli: Cli, operator: Operator) -> None:
    submission = ("submit", *NEEDED, "--test", "a.ts", "--job-id", "race")

    answers = [running.end() for running in [cli.start(*submission) for _ in range(4)]]

    assert [answer.code for answer in answers] == [0, 0, 0, 0]
    created = [answer.json["details"] == "Job enqueued to queue:p5" for answer in answers]
    assert sorted(created) == [False, False, False, True]
    assert names(operator.jobs()) == {"race"}


def test_of_different_submissions_at_once_one_wins_and_the_others_are_refused(
    cli: Cli, operator: Operator
) -> None:
    started = [
        cli.start("submit", *NEEDED, "--test", "a.ts", "--job-id", "race", "--priority", str(priority))
        for priority in (1, 2, 3, 4)
    ]

    answers = [running.end() for running in started]

    assert sorted(answer.code for answer in answers) == [0, 2, 2, 2]
    winner = 1 + [answer.code for answer in answers].index(0)
    assert operator.job("race")["spec"]["priority"] == winner


def test_several_tests_under_one_id_can_be_submitted_again(cli: Cli, operator: Operator) -> None:
    first = cli.submit("--test", "a.ts", "--test", "b.ts", "--job-id", "ci-1")
    second = cli.submit("--test", "b.ts", "--test", "a.ts", "--job-id", "ci-1")

    assert {row["job_id"] for row in first.json} == {row["job_id"] for row in second.json}
    assert len(operator.jobs()) == 2


# What is refused, and with which words


def test_mistakes_are_told_before_any_request(cli: Cli) -> None:
    answer = cli.run(
        "submit", *NEEDED, "--test", "../a.ts", "--priority", "11", KUBECONFIG="/no/cluster/is/asked"
    )

    assert answer.code == 2
    assert answer.stderr.splitlines() == [
        "qgjob: --test ../a.ts: must be a path inside the source: relative, without '..'",
        "--priority 11: priority must be between 1 and 10 (10 runs first)",
    ]


def test_the_servers_own_words_are_told_field_by_field(cli: Cli, operator: Operator) -> None:
    text = MANIFEST.replace("NAME", "bad").replace("PRIORITY", "11").replace("a.spec.ts", "/etc/passwd")

    answer = cli.run("submit", "-f", "-", stdin=text)

    assert answer.code == 2
    assert answer.stderr.splitlines() == [
        "qgjob: the API server refuses it:",
        "  spec.priority: 11: should be less than or equal to 10",
        "  spec.test: \"/etc/passwd\": must be a path inside the source: relative, without '..'",
    ]
    assert operator.jobs() == []


def test_an_unknown_field_is_refused(cli: Cli) -> None:
    text = MANIFEST.replace("NAME", "bad").replace("priority: PRIORITY", "prioriti: 5")

    answer = cli.run("submit", "-f", "-", stdin=text)

    assert answer.code == 2
    assert 'unknown field "spec.prioriti"' in answer.stderr


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_where_some_of_several_are_refused_all_of_those_are_told_and_nothing_is_submitted(
    cli: Cli, operator: Operator, option: tuple[str, ...]
) -> None:
    operator.create("taken", priority=1)
    texts = [
        MANIFEST.replace("NAME", name).replace("PRIORITY", priority)
        for name, priority in (("good", "5"), ("bad", "99"), ("taken", "5"), ("fine", "5"), ("Worse", "5"))
    ]
    (cli.folder / "many.yaml").write_text("---\n".join(texts))

    answer = cli.run("submit", "-f", "many.yaml", *option)

    assert (answer.code, answer.stdout) == (2, "")
    lines = answer.stderr.splitlines()
    taken = "job 'taken' exists with other content (priority: 1 there, 5 here)"
    assert lines[:5] == [
        "qgjob: -f: nothing was submitted:",
        "  many.yaml, document 2: the API server refuses it:",
        "      spec.priority: 99: should be less than or equal to 10",
        f"  many.yaml, document 3: {taken}; nothing was changed.",
        "    Submit it under another name (--job-id), or with the same content",
    ]
    assert lines[5].startswith("  many.yaml, document 5: the API server refuses it:")
    assert names(operator.jobs()) == {"taken"}


def test_the_same_file_again_changes_nothing_and_submits_what_is_new(cli: Cli, operator: Operator) -> None:
    texts = [MANIFEST.replace("NAME", name).replace("PRIORITY", "5") for name in ("a", "b", "c")]
    (cli.folder / "many.yaml").write_text("---\n".join(texts[:2]))
    assert cli.run("submit", "-f", "many.yaml").code == 0
    before = operator.job("a")
    (cli.folder / "many.yaml").write_text("---\n".join(texts))

    answer = cli.run("submit", "-f", "many.yaml")

    assert answer.code == 0
    assert [row["details"].split(":")[0] for row in answer.json] == [
        "Job already submitted",
        "Job already submitted",
        "Job enqueued to queue",
    ]
    assert operator.job("a") == before


def test_where_creating_breaks_off_what_was_submitted_is_told(cli: Cli, operator: Operator) -> None:
    for test in ("a.ts", "b.ts"):
        operator.create(identifiers.for_test("ci-1", test), test=test, priority=5 if test == "a.ts" else 9)

    answer = cli.submit("--test", "a.ts", "--test", "b.ts", "--job-id", "ci-1")

    assert answer.code == 2
    assert answer.json["job_id"] == identifiers.for_test("ci-1", "a.ts")
    assert "1 of 2 were submitted, then:" in answer.stderr


def test_a_namespace_that_is_not_there_is_told(cli: Cli) -> None:
    answer = cli.submit("--test", "a.ts", "-n", "nowhere")

    assert answer.code == 2
    assert "no namespace 'nowhere': create it, or choose another with --namespace" in answer.stderr


def test_an_unknown_target_is_no_mistake(cli: Cli, operator: Operator) -> None:
    job_id = cli.submitted("--target", "comes-later")

    assert operator.job(job_id)["spec"]["target"] == "comes-later"


# Manifests


def test_manifests_from_files_and_from_stdin(cli: Cli, operator: Operator) -> None:
    (cli.folder / "two.yaml").write_text(
        "---\n".join(MANIFEST.replace("NAME", name).replace("PRIORITY", "3") for name in ("a", "b"))
    )
    third = yaml.safe_load(MANIFEST.replace("NAME", "c").replace("PRIORITY", "1"))
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [third]})

    answer = cli.run("submit", "-f", "two.yaml", "-f", "-", stdin=listed)

    assert [row["job_id"] for row in answer.json] == ["a", "b", "c"]
    assert names(operator.jobs()) == {"a", "b", "c"}


def test_a_manifest_and_options_do_not_mix(cli: Cli) -> None:
    answer = cli.run("submit", "-f", "x.yaml", "--priority", "3", "--env", "A=b")

    assert answer.code == 2
    assert "-f brings its own --priority, --env" in answer.stderr


# --dry-run


def test_a_dry_run_creates_nothing_and_prints_what_kubectl_can_apply(cli: Cli, operator: Operator) -> None:
    answer = cli.submit("--test", "a.ts", "--test", "b.ts", "--job-id", "ci-1", "--dry-run", "-o", "yaml")

    assert answer.code == 0
    assert operator.jobs() == []
    for document in yaml.safe_load_all(answer.stdout):
        operator.client.create(TEST_JOBS, document, field_validation="Strict")
    assert len(operator.jobs()) == 2


def test_a_dry_run_in_json_is_one_document(cli: Cli) -> None:
    one = cli.submit("--test", "a.ts", "--dry-run").json
    two = cli.submit("--test", "a.ts", "--test", "b.ts", "--dry-run").json

    assert one["kind"] == "TestJob"
    assert (two["kind"], len(two["items"])) == ("List", 2)


def test_a_dry_run_asks_the_server(cli: Cli) -> None:
    text = MANIFEST.replace("NAME", "bad").replace("PRIORITY", "11")

    assert cli.run("submit", "-f", "-", "--dry-run", stdin=text).code == 2


def test_a_dry_run_finds_a_taken_id(cli: Cli) -> None:
    cli.submit("--test", "a.ts", "--job-id", "ci-1")

    assert cli.submit("--test", "a.ts", "--job-id", "ci-1", "--dry-run").code == 0
    assert cli.submit("--test", "b.ts", "--job-id", "ci-1", "--dry-run").code == 2


# --source-dir


@pytest.fixture
def project(cli: Cli) -> Path:
    folder = cli.folder / "e2e"
    for name in ("tests/a.spec.ts", "tests/b.spec.ts", "helpers.ts", "node_modules/m/index.js"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def config_maps(operator: Operator) -> list[Object]:
    maps = operator.client.list("configmaps", api_version="v1")
    return [each for each in maps if each["metadata"]["name"].startswith("qgjob-src-")]


def test_local_files_are_sent_once_for_all_their_tests(cli: Cli, operator: Operator, project: Path) -> None:
    answer = cli.submit("--source-dir", str(project), "--test", "tests/*.spec.ts")

    jobs = operator.jobs()
    [source] = config_maps(operator)
    metadata = source["metadata"]
    assert answer.code == 0
    assert sorted(job["spec"]["test"] for job in jobs) == ["tests/a.spec.ts", "tests/b.spec.ts"]
    assert all(job["spec"]["source"] == {"configMap": {"name": metadata["name"]}} for job in jobs)
    content = base64.b64decode(source["binaryData"]["source.tar.gz"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["helpers.ts", "tests/a.spec.ts", "tests/b.spec.ts"]
    owners = {reference["uid"] for reference in metadata["ownerReferences"]}
    assert owners == {job["metadata"]["uid"] for job in jobs}


def test_the_same_files_are_shared_by_later_submissions(cli: Cli, operator: Operator, project: Path) -> None:
    first = cli.submitted("--source-dir", str(project), "--test", "tests/a.spec.ts")
    second = cli.submitted("--source-dir", str(project), "--test", "tests/b.spec.ts")

    [source] = config_maps(operator)
    owners = {reference["name"] for reference in source["metadata"]["ownerReferences"]}
    assert owners == {first, second}


def test_submissions_at_once_all_own_the_files(cli: Cli, operator: Operator, project: Path) -> None:
    options = ("submit", *NEEDED, "--source-dir", str(project), "--test", "tests/a.spec.ts")

    ids = {running.end().json["job_id"] for running in [cli.start(*options) for _ in range(4)]}

    [source] = config_maps(operator)
    assert {reference["name"] for reference in source["metadata"]["ownerReferences"]} == ids


def test_the_same_submission_with_files_again_is_the_same(
    cli: Cli, operator: Operator, project: Path
) -> None:
    submission = ("--source-dir", str(project), "--test", "tests/a.spec.ts", "--job-id", "ci-1")
    cli.submit(*submission)
    assert cli.submit(*submission).code == 0

    (project / "helpers.ts").write_text("changed")
    answer = cli.submit(*submission)

    assert answer.code == 2
    assert "source: configMap=name=qgjob-src-" in answer.stderr
    assert len(config_maps(operator)) == 1  # what was sent for nothing is gone again


def test_the_files_go_with_the_last_of_their_tests(
    controller_manager: ThrowawayControlPlane, cli: Cli, operator: Operator, project: Path
) -> None:
    first = cli.submitted("--source-dir", str(project), "--test", "tests/a.spec.ts")
    second = cli.submitted("--source-dir", str(project), "--test", "tests/b.spec.ts")
    [source] = config_maps(operator)
    name, version = source["metadata"]["name"], source["metadata"]["resourceVersion"]

    operator.client.delete(TEST_JOBS, first)
    operator.client.delete(TEST_JOBS, second)

    watch = operator.client.watch(
        "configmaps",
        api_version="v1",
        resource_version=version,
        field_selector=f"metadata.name={name}",
        timeout_seconds=60,
    )
    assert "DELETED" in (kind for kind, _ in watch)
    with pytest.raises(ApiError, match="not found"):
        operator.client.get("configmaps", name, api_version="v1")


def test_too_many_files_are_refused_before_any_request(cli: Cli, project: Path) -> None:
    (project / "big.bin").write_bytes(random.Random(1).randbytes(1_200_000))

    answer = cli.run(
        "submit", *NEEDED, "--source-dir", str(project), "--test", "tests/a.spec.ts", KUBECONFIG="/nowhere"
    )

    assert answer.code == 2
    assert "a ConfigMap holds 1 MiB. Largest: big.bin" in answer.stderr


def test_a_target_that_is_not_there_is_told(cli: Cli) -> None:
    answer = cli.submit("--test", "a.ts")

    assert answer.code == 0
    assert "there is no target 'phones' in namespace" in answer.stderr


def test_jobs_without_test_files_for_a_target_that_has_none_are_told(cli: Cli, operator: Operator) -> None:
    spec = {
        "app": {"url": "https://builds.example.com/{appVersionId}.apk"},
        "provider": {"devices": [{"name": "pixel", "address": "10.0.0.7:5555"}]},
    }
    target = {"apiVersion": API_VERSION, "kind": "TestTarget", "metadata": {"name": "phones"}, "spec": spec}
    operator.client.create(TEST_TARGETS, target)

    assert "1 of the jobs bring none: give --source-dir" in cli.submit("--test", "a.ts").stderr
    assert "bring none" not in cli.submit("--test", "a.ts", "--git", "https://git.example.com/t.git").stderr


def test_a_target_that_is_not_ready_is_told_with_its_own_words(cli: Cli, operator: Operator) -> None:
    target = {
        "apiVersion": API_VERSION,
        "kind": "TestTarget",
        "metadata": {"name": "phones"},
        "spec": {"driver": {"name": "maestro"}, "provider": {"none": {}}},
    }
    operator.client.create(TEST_TARGETS, target)
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "DriverNotFound",
        "message": "this runner's image has no driver 'maestro'",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"status": {"conditions": [condition]}}
    operator.client.patch(TEST_TARGETS, "phones", status, kind="merge", subresource="status")

    answer = cli.submit("--test", "a.ts")

    assert answer.code == 0
    assert "DriverNotFound: this runner's image has no driver 'maestro'" in answer.stderr


@pytest.mark.parametrize("option", [("--fail-fast",), ("--wait-timeout", "10")])
def test_how_to_wait_without_waiting_is_refused(
    cli: Cli, operator: Operator, option: tuple[str, ...]
) -> None:
    answer = cli.submit("--test", "a.ts", *option)

    assert (answer.code, operator.jobs()) == (2, [])
    assert "give --wait, too" in answer.stderr
