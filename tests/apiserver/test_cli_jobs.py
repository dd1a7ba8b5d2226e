"""`qgjob status`, `list`, `cancel`, `dlq`, `batches` and `version` against a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from qgjob.api.constants import API_VERSION, TEST_BATCHES

if TYPE_CHECKING:
    from tests.apiserver.cli_support import Cli, Operator

# status


def test_status_has_every_attempt(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.run_to("a", "failed", "no button", cases=3, failed_cases=1)

    view = cli.run("status", "a").json

    assert view["job_id"] == "a"
    assert view["status"] == "queued_for_retry"
    assert view["details"].startswith("Failed once: no button; retry in ")
    [attempt] = view["attempts"]
    assert (attempt["outcome"], attempt["message"], attempt["cases"]) == ("failed", "no button", 3)


def test_the_status_of_several_is_an_array(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.create("b")

    assert [view["job_id"] for view in cli.run("status", "b", "a").json] == ["b", "a"]


def test_a_status_for_people(cli: Cli, operator: Operator) -> None:
    operator.create("a", maxRetries=0)
    operator.run_to("a", "failed", "Expected 3\nReceived 2", device="pixel-1")

    lines = cli.run("status", "a", "-o", "table").stdout.splitlines()

    assert "Status        failed" in lines
    assert "Details       Failed once: Expected 3" in lines
    assert lines[-2].split() == ["ATTEMPT", "OUTCOME", "STARTED", "SECONDS", "DEVICE", "POD", "MESSAGE"]
    assert lines[-1].endswith("pixel-1  tb-1-pod  Expected 3 Received 2")


def test_an_unknown_job_is_told(cli: Cli) -> None:
    answer = cli.run("status", "nope")

    assert answer.code == 2
    assert "no job nope in namespace" in answer.stderr


def test_yaml_has_the_same_words(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    assert yaml.safe_load(cli.run("status", "a", "-o", "yaml").stdout)["status"] == "queued"


# list


@pytest.fixture
def some(operator: Operator) -> None:
    operator.create("waits")
    operator.create("runs", orgId="other")
    operator.run("runs")
    operator.create("passed", appVersionId="app-2")
    operator.run_to("passed", "passed")
    operator.create("dead", maxRetries=0, target="tablets")
    operator.run_to("dead", "failed", "no")
    operator.create("cancelled")
    operator.cancel("cancelled")


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"waits", "runs", "passed", "dead", "cancelled"}),
        (["--status", "queued"], {"waits"}),
        (["--status", "failed", "--status", "cancelled"], {"dead", "cancelled"}),
        (["--status", "queued", "--status", "running"], {"waits", "runs"}),
        (["--org-id", "other"], {"runs"}),
        (["--app-version-id", "app-2"], {"passed"}),
        (["--target", "tablets"], {"dead"}),
        (["--target", "phones", "--status", "completed"], {"passed"}),
        (["--org-id", "nobody"], set()),
    ],
)
def test_list_filters(cli: Cli, options: list[str], expected: set[str]) -> None:
    assert {row["job_id"] for row in cli.run("list", *options).json} == expected


@pytest.mark.usefixtures("some")
def test_list_is_limited_and_says_so(cli: Cli) -> None:
    answer = cli.run("list", "--limit", "2")

    assert len(answer.json) == 2
    assert answer.last_line == "qgjob: the newest 2 of 5; --limit and the filters show others"


@pytest.mark.usefixtures("some")
def test_a_list_for_people(cli: Cli) -> None:
    lines = cli.run("list", "--status", "failed", "-o", "table").stdout.splitlines()

    assert lines[0].split() == ["JOB", "STATUS", "PRI", "APP", "TARGET", "TEST", "AGE", "DETAILS"]
    assert lines[1].split()[:6] == ["dead", "failed", "5", "app-1", "tablets", "a.spec.ts"]
    assert "\033" not in lines[1]


def test_list_can_look_into_every_namespace(cli: Cli, operator: Operator) -> None:
    operator.create("here")

    rows = cli.run("list", "--all-namespaces", "-n", "default").json

    assert (operator.namespace, "here") in {(row["namespace"], row["job_id"]) for row in rows}


# cancel


def test_cancel_asks_the_operator(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    answer = cli.run("cancel", "a")

    assert answer.json == {"job_id": "a", "status": "queued", "details": "Cancellation requested"}
    assert operator.job("a")["spec"]["cancel"] is True


def test_what_is_over_is_not_cancelled(cli: Cli, operator: Operator) -> None:
    operator.create("a")
    operator.run_to("a", "passed")

    answer = cli.run("cancel", "a")

    assert answer.code == 0
    assert answer.json["details"] == "Over already, nothing to cancel: Passed"
    assert operator.job("a")["spec"]["cancel"] is False


def test_an_unknown_job_stops_the_cancelling(cli: Cli, operator: Operator) -> None:
    operator.create("a")

    assert cli.run("cancel", "a", "nope").code == 2
    assert operator.job("a")["spec"]["cancel"] is False


# dlq


@pytest.mark.usefixtures("some")
def test_the_dead_letters_are_listed(cli: Cli) -> None:
    [row] = cli.run("dlq", "list").json

    assert (row["job_id"], row["reason"], row["details"]) == ("dead", "TestFailed", "Failed once: no")


@pytest.mark.usefixtures("some")
def test_a_dead_letter_is_shown_with_its_attempts(cli: Cli) -> None:
    assert [attempt["outcome"] for attempt in cli.run("dlq", "show", "dead").json["attempts"]] == ["failed"]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("command", ["show", "replay"])
def test_what_is_no_dead_letter_is_refused(cli: Cli, command: str) -> None:
    answer = cli.run("dlq", command, "passed")

    assert answer.code == 2
    assert "job passed is no dead letter, it is completed: Passed" in answer.stderr


@pytest.mark.usefixtures("some")
def test_a_dead_letter_is_replayed_once(cli: Cli, operator: Operator) -> None:
    first, second = cli.run("dlq", "replay", "dead"), cli.run("dlq", "replay", "dead")

    assert first.json["details"] == "Replay requested: to queue:p5 for target tablets"
    assert second.json["details"] == "Replayed already: to queue:p5 for target tablets"
    assert operator.job("dead")["spec"]["replays"] == 1


@pytest.mark.usefixtures("some")
def test_all_dead_letters_are_replayed(cli: Cli, operator: Operator) -> None:
    operator.create("dead-2", maxRetries=0)
    operator.run_to("dead-2", "failed", "no")

    filtered = cli.run("dlq", "replay", "--all", "--target", "tablets").json
    every = cli.run("dlq", "replay", "--all").json

    assert [row["job_id"] for row in filtered] == ["dead"]
    assert {row["job_id"] for row in every} == {"dead", "dead-2"}
    assert operator.job("dead-2")["spec"]["replays"] == 1


def test_replay_wants_names_or_all(cli: Cli) -> None:
    assert cli.run("dlq", "replay").code == 2
    assert cli.run("dlq", "replay", "a", "--all").code == 2
    assert cli.run("dlq", "replay", "a", "--target", "x").code == 2


# batches, version


def create_batch(operator: Operator, name: str, app_version_id: str = "app-1") -> None:
    jobs = [{"name": job, "uid": f"uid-{job}", "attempt": 1} for job in ("a", "b")]
    spec = {"appVersionId": app_version_id, "target": "phones", "priority": 5, "jobs": jobs}
    body = {"apiVersion": API_VERSION, "kind": "TestBatch", "metadata": {"name": name}, "spec": spec}
    operator.client.create(TEST_BATCHES, body)
    status = {
        "phase": "Running",
        "installSeconds": 9.5,
        "passed": 1,
        "tests": [{"name": "a", "outcome": "passed", "seconds": 3.2}],
    }
    operator.client.patch(TEST_BATCHES, name, {"status": status}, kind="merge", subresource="status")


def test_batches_are_listed_and_shown_with_their_tests(cli: Cli, operator: Operator) -> None:
    create_batch(operator, "tb-1")
    create_batch(operator, "tb-2", "app-2")

    [row] = cli.run("batches", "--app-version-id", "app-2").json
    one = cli.run("batches", "tb-1").json
    table = cli.run("batches", "-o", "table").stdout.splitlines()

    assert (row["name"], row["phase"], row["install_seconds"], row["jobs"]) == (
        "tb-2",
        "Running",
        9.5,
        ["a", "b"],
    )
    assert [(test["job_id"], test["outcome"]) for test in one["tests"]] == [("a", "passed"), ("b", "")]
    assert len(table) == 3


def test_the_versions_of_both_sides(cli: Cli) -> None:
    row = cli.run("version").json

    assert row["kubernetes"].startswith("v1.")
    assert row["client_api"] == row["server_api"] == API_VERSION


def test_versions_are_told_without_a_cluster_too(cli: Cli) -> None:
    answer = cli.run("version", KUBECONFIG="/nowhere")

    assert answer.code == 0
    assert answer.json["client"]
    assert "no kubeconfig at /nowhere" in answer.json["problem"]
