"""TestJobs as the API server takes or refuses them, and the words that a stranger reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hack.localcluster.rest import ApiError
from qgjob.api import lifecycle
from qgjob.api.constants import API_VERSION
from tests.apiserver.crd_support import ABSENT, JOB, Object, Resource, changed

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIXED = "Forbidden: can't be changed after the TestJob was created"
ARCHIVE = {"url": "https://example.com/tests.zip"}
IDENTIFIER_WORDS = "must be letters and digits, with '.', '_', '+' or '-' between them"
TARGET_WORDS = "must be the name of a TestTarget: lower-case letters and digits, with '-' between them"
PATH_WORDS = "must be a path inside the source: relative, without '..'"


@pytest.fixture
def jobs(crds: ThrowawayControlPlane, namespace: str) -> Resource:
    return Resource(crds.client, namespace, "testjobs")


# What is taken


def test_the_four_required_fields_are_enough(jobs: Resource) -> None:
    assert jobs.create(JOB)["spec"] == {
        **JOB,
        "priority": 5,
        "maxRetries": 3,
        "isolation": "clear",
        "env": [],
        "cancel": False,
        "replays": 0,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 1},
        {"priority": 10},
        {"priority": None},
        {"maxRetries": 0},
        {"timeoutSeconds": 86400},
        {"timeoutSeconds": None},
        {"ttlSecondsAfterFinished": 0},
        {"isolation": "reinstall"},
        {"appVersionId": "2.0.0-rc.1+build_7"},
        {"orgId": "a"},
        {"test": "a folder/..hidden/Login (1).spec.ts"},
        {"env": [{"name": "BASE_URL", "value": "https://staging.example.com"}, {"name": "_EMPTY"}]},
        {"source": {"image": {}}},
        {"source": {"git": {"repository": "git@github.com:acme/e2e.git", "revision": "v1", "path": "e2e"}}},
        {"source": {"git": {"repository": "https://github.com/acme/e2e.git"}}},
        {"source": {"archive": {**ARCHIVE, "sha256": "0" * 64}}},
        {"source": {"configMap": {"name": "tests"}}},
    ],
    ids=str,
)
def test_this_is_taken(jobs: Resource, changes: Object) -> None:
    assert jobs.refusal(changed(JOB, changes)) == ""


def test_defaults_inside_a_source_are_filled_in(jobs: Resource) -> None:
    job = jobs.create({**JOB, "source": {"git": {"repository": "https://github.com/acme/e2e.git"}}})

    assert job["spec"]["source"]["git"]["revision"] == "HEAD"
    assert job["spec"]["source"]["git"]["path"] == "."


# What is refused, and with which words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"orgId": ABSENT}, "spec.orgId: Required value"),
        ({"appVersionId": ABSENT}, "spec.appVersionId: Required value"),
        ({"test": ABSENT}, "spec.test: Required value"),
        ({"target": ABSENT}, "spec.target: Required value"),
        ({"orgId": ""}, f'spec.orgId: Invalid value: "": {IDENTIFIER_WORDS}'),
        ({"orgId": "acme corp"}, f'spec.orgId: Invalid value: "acme corp": {IDENTIFIER_WORDS}'),
        ({"orgId": "a" * 129}, "spec.orgId: Too long: may not be more than 128 bytes"),
        ({"appVersionId": "1.0/beta"}, f'spec.appVersionId: Invalid value: "1.0/beta": {IDENTIFIER_WORDS}'),
        ({"appVersionId": 1.5}, 'spec.appVersionId in body must be of type string: "number"'),
        ({"target": "Phones"}, f'spec.target: Invalid value: "Phones": {TARGET_WORDS}'),
        ({"target": "my_phones"}, f'spec.target: Invalid value: "my_phones": {TARGET_WORDS}'),
        ({"target": "a" * 64}, "spec.target: Too long: may not be more than 63 bytes"),
        ({"test": ""}, "spec.test in body should be at least 1 chars long"),
        ({"test": "/e2e/login.spec.ts"}, f'spec.test: Invalid value: "/e2e/login.spec.ts": {PATH_WORDS}'),
        ({"test": "e2e/../../etc"}, f'spec.test: Invalid value: "e2e/../../etc": {PATH_WORDS}'),
        ({"test": "a" * 513}, "spec.test: Too long: may not be more than 512 bytes"),
        ({"priority": 11}, "spec.priority in body should be less than or equal to 10"),
        ({"priority": 0}, "spec.priority in body should be greater than or equal to 1"),
        ({"priority": "high"}, 'spec.priority in body must be of type integer: "string"'),
        ({"priority": 5.5}, 'spec.priority in body must be of type integer: "number"'),
        ({"maxRetries": -1}, "spec.maxRetries in body should be greater than or equal to 0"),
        ({"maxRetries": 101}, "spec.maxRetries in body should be less than or equal to 100"),
        ({"timeoutSeconds": 0}, "spec.timeoutSeconds in body should be greater than or equal to 1"),
        ({"timeoutSeconds": "5m"}, 'spec.timeoutSeconds in body must be of type integer: "string"'),
        ({"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished in body should be greater than"),
        (
            {"isolation": "none"},
            'spec.isolation: Unsupported value: "none": supported values: "clear", "reinstall"',
        ),
        ({"cancel": "yes"}, 'spec.cancel in body must be of type boolean: "string"'),
        ({"replays": -1}, "spec.replays in body should be greater than or equal to 0"),
        ({"env": {"A": "b"}}, 'spec.env in body must be of type array: "object"'),
        ({"env": [{"value": "b"}]}, "spec.env[0].name: Required value"),
        (
            {"env": [{"name": "1ST"}]},
            (
                "spec.env[0].name: Invalid value: \"1ST\": must be letters, digits and '_', "
                "and must not begin with a digit"
            ),
        ),
        ({"env": [{"name": "A"}, {"name": "A"}]}, "spec.env[1]: Duplicate value"),
        ({"env": [{"name": "A", "value": 1}]}, 'spec.env[0].value in body must be of type string: "integer"'),
        (
            {"env": [{"name": f"V{n}"} for n in range(65)]},
            "spec.env: Too many: 65: must have at most 64 items",
        ),
        ({"source": {}}, "source needs exactly one of image, git, archive, configMap"),
        (
            {"source": {"image": {}, "archive": ARCHIVE}},
            "source needs exactly one of image, git, archive, configMap",
        ),
        (
            {"source": {"image": {"path": "project"}}},
            'spec.source.image.path: Invalid value: "project": must be an absolute path in the runner\'s image',
        ),
        (
            {"source": {"git": {"repository": "acme/e2e"}}},
            (
                'spec.source.git.repository: Invalid value: "acme/e2e": '
                "must be a clone URL: https://host/team/tests.git or git@host:team/tests.git"
            ),
        ),
        (
            {"source": {"git": {"repository": "https://h/e2e", "revision": "--upload-pack=x"}}},
            'spec.source.git.revision: Invalid value: "--upload-pack=x": must be a branch, tag or commit',
        ),
        (
            {"source": {"git": {"repository": "https://h/e2e", "path": "../up"}}},
            'spec.source.git.path: Invalid value: "../up": must be a path inside the repository',
        ),
        (
            {"source": {"archive": {"url": "s3://bucket/tests.zip"}}},
            (
                'spec.source.archive.url: Invalid value: "s3://bucket/tests.zip": '
                "must begin with https:// or http://"
            ),
        ),
        (
            {"source": {"archive": {**ARCHIVE, "sha256": "ABC"}}},
            (
                'spec.source.archive.sha256: Invalid value: "ABC": '
                "must be 64 lower-case hexadecimal digits, as sha256sum prints them"
            ),
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_this_is_refused_with_these_words(jobs: Resource, changes: Object, words: str) -> None:
    assert words in jobs.refusal(changed(JOB, changes))


def test_a_manifest_without_a_spec_is_refused(jobs: Resource) -> None:
    with pytest.raises(ApiError, match="spec: Required value"):
        jobs.client.create(
            jobs.path, {"apiVersion": API_VERSION, "kind": "TestJob", "metadata": {"name": "empty"}}
        )


# What may change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("orgId", "other"),
        ("appVersionId", "2.0.0"),
        ("test", "other.spec.ts"),
        ("target", "tablets"),
        ("maxRetries", 4),
        ("isolation", "reinstall"),
        ("env", [{"name": "A", "value": "b"}]),
        ("timeoutSeconds", 60),
        ("source", {"image": {}}),
    ],
)
def test_what_it_runs_is_fixed(jobs: Resource, field: str, value: Any) -> None:
    name = jobs.create(JOB)["metadata"]["name"]

    assert f"spec.{field}: {FIXED}" in jobs.change(name, {field: value})


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [
        ("env", [{"name": "A", "value": "b"}], [{"name": "A", "value": "c"}]),
        ("timeoutSeconds", 60, 61),
        ("source", {"configMap": {"name": "tests"}}, {"configMap": {"name": "others"}}),
    ],
)
def test_an_optional_field_is_neither_changed_nor_removed(
    jobs: Resource, field: str, value: Any, other: Any
) -> None:
    name = jobs.create({**JOB, field: value})["metadata"]["name"]

    assert f"spec.{field}: {FIXED}" in jobs.change(name, {field: other})
    assert f"spec.{field}: {FIXED}" in jobs.change(name, {field: None})


@pytest.mark.parametrize(
    "change", [{"priority": 10}, {"ttlSecondsAfterFinished": 60}, {"cancel": True}], ids=str
)
def test_how_urgent_it_is_and_how_it_ends_may_change(jobs: Resource, change: Object) -> None:
    name = jobs.create(JOB)["metadata"]["name"]

    assert jobs.change(name, change) == ""


def test_a_ttl_can_be_taken_away_again(jobs: Resource) -> None:
    name = jobs.create({**JOB, "ttlSecondsAfterFinished": 60})["metadata"]["name"]

    assert jobs.change(name, {"ttlSecondsAfterFinished": None}) == ""


def test_a_cancelled_one_stays_cancelled(jobs: Resource) -> None:
    name = jobs.create({**JOB, "cancel": True})["metadata"]["name"]
    words = "a cancelled TestJob can't be revived: submit a new one"

    assert words in jobs.change(name, {"cancel": False})
    assert words in jobs.change(name, {"cancel": None})


def test_replays_are_only_counted_up(jobs: Resource) -> None:
    name = jobs.create({**JOB, "replays": 1})["metadata"]["name"]

    assert jobs.change(name, {"replays": 2}) == ""
    assert "spec.replays: Invalid value: 1: can only be counted up" in jobs.change(name, {"replays": 1})


def test_applying_the_same_manifest_again_changes_nothing(jobs: Resource) -> None:
    manifest = {
        "apiVersion": "qgjob.dev/v1alpha1",
        "kind": "TestJob",
        "metadata": {"name": "same"},
        "spec": JOB,
    }
    url = f"{jobs.path}/same?fieldManager=kubectl"
    versions = [
        jobs.client.request("PATCH", url, manifest, "application/apply-patch+yaml")["metadata"]["generation"]
        for _ in range(3)
    ]

    assert versions == [1, 1, 1]


# The status


def test_it_reads_pending_before_anything_was_written(jobs: Resource) -> None:
    assert jobs.create(JOB)["status"] == {
        "phase": "Pending",
        "batch": "",
        "pod": "",
        "attempt": 0,
        "attempts": [],
        "failures": 0,
        "infrastructureFailures": 0,
        "observedReplays": 0,
        "reason": "",
        "message": "",
        "revision": "",
        "conditions": [],
    }


def test_a_status_in_a_manifest_is_dropped(jobs: Resource) -> None:
    job = jobs.create(JOB, status={"phase": "Succeeded", "attempt": 7})

    assert job["status"]["phase"] == "Pending"
    assert job["status"]["attempt"] == 0


def test_status_and_spec_are_written_apart(jobs: Resource) -> None:
    name = jobs.create(JOB)["metadata"]["name"]
    jobs.merge(name, {"status": {"phase": "Succeeded"}})
    jobs.merge(name, {"spec": {"priority": 9}}, "/status")
    job = jobs.get(name)

    assert (job["status"]["phase"], job["spec"]["priority"]) == ("Pending", 5)


def test_a_tested_patch_works_before_any_write(jobs: Resource) -> None:
    name = jobs.create(JOB)["metadata"]["name"]
    steps = lifecycle.json_patch({}, lifecycle.claim({}, "tb-1", 0))

    assert jobs.json_patch(name, steps)["status"]["batch"] == "tb-1"


def test_a_tested_patch_of_another_claim_is_refused(jobs: Resource) -> None:
    name = jobs.create(JOB)["metadata"]["name"]
    steps = lifecycle.json_patch({}, lifecycle.claim({}, "tb-1", 0))
    jobs.json_patch(name, steps)

    with pytest.raises(ApiError) as refused:
        jobs.json_patch(name, steps)

    assert refused.value.status == 422


def test_a_whole_life_is_taken(jobs: Resource) -> None:
    """Each change that the lifecycle makes fits the schema: claim, start, failure, retry, end, replay."""
    policy = lifecycle.RetryPolicy(infrastructure_retries=0)
    failed = lifecycle.Result(
        "failed", message="é" * 2000, started=NOW, cases=3, failed_cases=1, device="pixel"
    )
    lost = lifecycle.Result("infrastructure", message="device lost")
    job = jobs.create(JOB)
    name = job["metadata"]["name"]
    phases = []
    for make in (
        lambda status: lifecycle.claim(status, "tb-1", 0),
        lifecycle.give_back,
        lambda status: lifecycle.claim(status, "tb-2", 0),
        lambda status: lifecycle.start(status, "tb-2-abcde", NOW),
        lambda status: lifecycle.finish(status, failed, policy, 3, NOW),
        lambda status: lifecycle.claim(status, "tb-3", 0),
        lambda status: lifecycle.finish(status, lost, policy, 3, NOW),
        lambda status: lifecycle.replay(status, 1, NOW),
        lambda status: lifecycle.cancel(status, NOW),
    ):
        job = jobs.json_patch(name, lifecycle.json_patch(job["status"], make(job["status"])))
        phases.append(job["status"]["phase"])

    assert phases == [
        *("Scheduled", "Pending", "Scheduled", "Running", "Retrying"),
        *("Scheduled", "DeadLettered", "Pending", "Cancelled"),
    ]
    assert [each["outcome"] for each in job["status"]["attempts"]] == ["failed", "infrastructure"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Done"}, 'status.phase: Unsupported value: "Done"'),
        ({"attempt": 2}, "status.attempt: Invalid value: 2: can only be counted up"),
        ({"attempt": None}, "status.attempt: Invalid value: 0: can only be counted up"),
        ({"observedReplays": 0}, "status.observedReplays: Invalid value: 0: can only be counted up"),
        ({"failures": -1}, "failures in body should be greater than or equal to 0"),
        ({"message": "a" * 1025}, "status.message: Too long: may not be more than 1024 bytes"),
        (
            {"attempts": [{"number": n, "outcome": "passed"} for n in range(11)]},
            "status.attempts: Too many: 11: must have at most 10 items",
        ),
        ({"attempts": [{"number": 1, "outcome": "skipped"}]}, 'Unsupported value: "skipped"'),
        ({"finishTime": "yesterday"}, "finishTime in body must be of type date-time"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_such_a_status_is_refused(jobs: Resource, status: Object, words: str) -> None:
    name = jobs.create(JOB)["metadata"]["name"]
    jobs.merge(name, {"status": {"attempt": 3, "observedReplays": 1}}, "/status")

    assert words in jobs.report(name, status)


# How it is found and read


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("spec.orgId=other", {"b"}),
        ("spec.appVersionId=2.0", {"b"}),
        ("spec.target=tablets", {"b"}),
        ("status.phase=Pending", {"a"}),
        ("status.phase!=Pending", {"b"}),
        ("status.batch=", {"a"}),
        ("status.batch=tb-1", {"b"}),
        ("spec.orgId=other,status.phase!=Scheduled", set()),
    ],
)
def test_a_field_selector_finds_it(jobs: Resource, selector: str, found: set[str]) -> None:
    jobs.create(JOB, "a")
    jobs.create({**JOB, "orgId": "other", "appVersionId": "2.0", "target": "tablets"}, "b")
    jobs.merge("b", {"status": {"phase": "Scheduled", "batch": "tb-1"}}, "/status")

    assert jobs.names(selector) == found


def test_other_fields_cannot_be_selected(jobs: Resource) -> None:
    with pytest.raises(ApiError, match=r"field label not supported: spec\.test"):
        jobs.names("spec.test=a")


def test_kubectl_get_shows_what_people_ask_first(jobs: Resource) -> None:
    jobs.create({**JOB, "priority": 9}, "login")
    [row] = jobs.table()

    assert jobs.columns() == [
        "Name",
        "Phase",
        "Priority",
        "App",
        "Target",
        "Test",
        "Failures",
        "Reason",
        "Age",
    ]
    assert {key: row[key] for key in ("Name", "Phase", "Priority", "App", "Target", "Test", "Failures")} == {
        "Name": "login",
        "Phase": "Pending",
        "Priority": 9,
        "App": "1.2.3",
        "Target": "phones",
        "Test": "e2e/login.spec.ts",
        "Failures": 0,
    }


def test_the_wide_table_says_who_where_and_why(jobs: Resource) -> None:
    name = jobs.create(JOB)["metadata"]["name"]
    jobs.merge(
        name,
        {
            "status": {
                "batch": "tb-1",
                "infrastructureFailures": 2,
                "reason": "DeviceLost",
                "message": "pixel did not answer",
            }
        },
        "/status",
    )
    [row] = jobs.table()

    assert {key: row[key] for key in ("Org", "Batch", "Infra", "Reason", "Message")} == {
        "Org": "acme",
        "Batch": "tb-1",
        "Infra": 2,
        "Reason": "DeviceLost",
        "Message": "pixel did not answer",
    }
