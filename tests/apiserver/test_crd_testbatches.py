"""TestBatches as the API server takes or refuses them: rules against the operator's and the runners' own mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hack.localcluster.rest import ApiError
from tests.apiserver.crd_support import ABSENT, BATCH, Object, Resource, changed

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

FIXED = "Forbidden: can't be changed after the TestBatch was created"
APPEND_ONLY = "entries can be added at the end, never changed or removed"
A, B = BATCH["jobs"][0], {"name": "b", "uid": "uid-b", "attempt": 1}
DEVICE = {"name": "pixel", "address": "10.0.0.7:5555"}


@pytest.fixture
def batches(crds: ThrowawayControlPlane, namespace: str) -> Resource:
    return Resource(crds.client, namespace, "testbatches")


def test_it_is_taken_and_reads_pending_and_open(batches: Resource) -> None:
    batch = batches.create({**BATCH, "device": DEVICE})

    assert batch["spec"] == {**BATCH, "device": DEVICE, "yield": False, "trial": False}
    assert batch["status"] == {
        "pod": "",
        "podName": "",
        "phase": "Pending",
        "open": True,
        "reason": "",
        "message": "",
        "total": 0,
        "passed": 0,
        "failed": 0,
        "infrastructure": 0,
        "givenBack": 0,
        "tests": [],
        "conditions": [],
    }


def test_a_thousand_testjobs_fit(batches: Resource) -> None:
    jobs = [{"name": "n" * 253, "uid": "u" * 36, "attempt": n} for n in range(1, 1001)]
    name = batches.create({**BATCH, "jobs": jobs[:999]})["metadata"]["name"]

    assert batches.change(name, {"jobs": jobs}) == ""
    assert "must have at most 1000 items" in batches.change(name, {"jobs": [*jobs, A]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"appVersionId": ABSENT}, "spec.appVersionId: Required value"),
        ({"target": ABSENT}, "spec.target: Required value"),
        ({"priority": ABSENT}, "spec.priority: Required value"),
        ({"jobs": ABSENT}, "spec.jobs: Required value"),
        ({"jobs": []}, "spec.jobs in body should have at least 1 items"),
        ({"priority": 11}, "spec.priority in body should be less than or equal to 10"),
        (
            {"jobs": [{**A, "attempt": 0}]},
            "spec.jobs[0].attempt in body should be greater than or equal to 1",
        ),
        ({"jobs": [{"name": "a"}]}, "spec.jobs[0].uid: Required value"),
        ({"device": {}}, "spec.device.name: Required value"),
    ],
    ids=str,
)
def test_this_is_refused_with_these_words(batches: Resource, changes: Object, words: str) -> None:
    assert words in batches.refusal(changed(BATCH, changes))


def test_its_name_must_fit_into_the_names_of_its_pods(batches: Resource) -> None:
    assert batches.refusal(BATCH, "a" * 57) == ""
    assert "a TestBatch's name has at most 57 characters" in batches.refusal(BATCH, "a" * 58)


@pytest.mark.parametrize(
    ("field", "value"), [("appVersionId", "2.0"), ("target", "tablets"), ("device", {"name": "nexus"})]
)
def test_what_it_installs_and_where_is_fixed(batches: Resource, field: str, value: Any) -> None:
    name = batches.create({**BATCH, "device": DEVICE})["metadata"]["name"]

    assert f"spec.{field}: {FIXED}" in batches.change(name, {field: value})


def test_a_device_is_neither_added_nor_removed(batches: Resource) -> None:
    without = batches.create(BATCH)["metadata"]["name"]
    having = batches.create({**BATCH, "device": DEVICE})["metadata"]["name"]

    assert f"spec.device: {FIXED}" in batches.change(without, {"device": DEVICE})
    assert f"spec.device: {FIXED}" in batches.change(having, {"device": None})


def test_testjobs_are_appended(batches: Resource) -> None:
    name = batches.create(BATCH)["metadata"]["name"]

    assert batches.change(name, {"jobs": [A, B], "priority": 9}) == ""


def test_a_testjob_comes_again_by_a_later_attempt(batches: Resource) -> None:
    name = batches.create(BATCH)["metadata"]["name"]

    assert batches.change(name, {"jobs": [A, {**A, "attempt": 2}]}) == ""


@pytest.mark.parametrize(
    "jobs", [[B, A], [A], [B], [{**A, "attempt": 2}, B], [{**A, "uid": "other"}, B]], ids=str
)
def test_testjobs_are_never_moved_changed_or_removed(batches: Resource, jobs: list[Object]) -> None:
    name = batches.create({**BATCH, "jobs": [A, B]})["metadata"]["name"]

    assert APPEND_ONLY in batches.change(name, {"jobs": jobs})


def test_it_can_be_asked_to_yield(batches: Resource) -> None:
    name = batches.create(BATCH)["metadata"]["name"]

    assert batches.change(name, {"yield": True}) == ""


# The status


def test_a_runner_owns_it_once(batches: Resource) -> None:
    name = batches.create(BATCH)["metadata"]["name"]
    words = "a batch keeps the owner that it has"

    assert batches.report(name, {"pod": "uid-1", "phase": "Installing"}) == ""
    assert words in batches.report(name, {"pod": "uid-2"})
    assert words in batches.report(name, {"pod": ""})


def test_two_runners_that_read_the_same_version_are_told_apart(batches: Resource) -> None:
    batch = batches.create(BATCH)
    name, version = batch["metadata"]["name"], batch["metadata"]["resourceVersion"]
    batches.merge(name, {"metadata": {"resourceVersion": version}, "status": {"pod": "uid-1"}}, "/status")

    with pytest.raises(ApiError) as refused:
        batches.merge(name, {"metadata": {"resourceVersion": version}, "status": {"pod": "uid-2"}}, "/status")

    assert refused.value.status == 409


@pytest.mark.parametrize("phase", ["Completed", "Failed", "Yielded"])
def test_what_is_over_stays_over(batches: Resource, phase: str) -> None:
    name = batches.create(BATCH)["metadata"]["name"]
    batches.merge(name, {"status": {"phase": phase, "open": False}}, "/status")

    assert "a batch that is over stays over" in batches.report(name, {"phase": "Running"})
    assert "a closed batch can't be opened again" in batches.report(name, {"open": True})
    assert batches.report(name, {"phase": phase, "message": "once more"}) == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Done"}, 'status.phase: Unsupported value: "Done"'),
        ({"passed": -1}, "passed in body should be greater than or equal to 0"),
        ({"tests": [{"name": "a", "outcome": "skipped"}]}, 'Unsupported value: "skipped"'),
        ({"installSeconds": "10s"}, 'installSeconds in body must be of type number: "string"'),
    ],
    ids=str,
)
def test_such_a_status_is_refused(batches: Resource, status: Object, words: str) -> None:
    name = batches.create(BATCH)["metadata"]["name"]

    assert words in batches.report(name, status)


# How it is found and read


@pytest.mark.parametrize(
    ("selector", "found"),
    [("spec.appVersionId=2.0", {"b"}), ("spec.target=tablets", {"b"}), ("status.phase=Running", {"b"})],
)
def test_a_field_selector_finds_it(batches: Resource, selector: str, found: set[str]) -> None:
    batches.create(BATCH, "a")
    batches.create({**BATCH, "appVersionId": "2.0", "target": "tablets"}, "b")
    batches.merge("b", {"status": {"phase": "Running"}}, "/status")

    assert batches.names(selector) == found


def test_kubectl_get_shows_what_people_ask_first(batches: Resource) -> None:
    name = batches.create({**BATCH, "device": DEVICE}, "tb-1")["metadata"]["name"]
    batches.merge(name, {"status": {"passed": 7, "failed": 1, "installSeconds": 12.5}}, "/status")
    [row] = batches.table()

    assert batches.columns() == [
        *("Name", "Phase", "Priority", "App", "Target", "Device", "Passed", "Failed", "Infra"),
        *("Install", "Reason", "Age"),
    ]
    assert {key: row[key] for key in ("Name", "Phase", "Device", "Passed", "Failed", "Install")} == {
        "Name": "tb-1",
        "Phase": "Pending",
        "Device": "pixel",
        "Passed": 7,
        "Failed": 1,
        "Install": 12.5,
    }
