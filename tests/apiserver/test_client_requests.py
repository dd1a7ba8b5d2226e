"""The client against a real API server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import API_VERSION, TEST_JOBS
from qgjob.client import ApiError, Changed, Client, Listed, Trouble, follow

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane


@pytest.fixture
def client(crds: ThrowawayControlPlane, namespace: str) -> Client:
    return Client.from_kubeconfig(str(crds.kubeconfig), namespace=namespace)


def body(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"orgId": "acme", "appVersionId": "app-1", "test": "a.ts", "target": "phones", **spec}
    return {"apiVersion": API_VERSION, "kind": "TestJob", "metadata": {"name": name}, "spec": spec}


def test_an_object_is_created_read_changed_and_deleted(client: Client) -> None:
    client.create(TEST_JOBS, body("a"))
    client.patch(TEST_JOBS, "a", {"spec": {"priority": 9}}, kind="merge")
    assert client.get(TEST_JOBS, "a")["spec"]["priority"] == 9

    client.delete(TEST_JOBS, "a")
    with pytest.raises(ApiError) as refusal:
        client.get(TEST_JOBS, "a")
    assert refusal.value.is_not_found


def test_a_taken_name_is_told_apart_from_a_conflict(client: Client) -> None:
    first = client.create(TEST_JOBS, body("a"))
    with pytest.raises(ApiError) as taken:
        client.create(TEST_JOBS, body("a"))
    assert taken.value.is_already_exists

    client.patch(TEST_JOBS, "a", {"spec": {"priority": 9}}, kind="merge")
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "spec": {"priority": 1}}
    with pytest.raises(ApiError) as conflict:
        client.patch(TEST_JOBS, "a", stale, kind="merge")
    assert conflict.value.is_conflict
    assert not conflict.value.is_already_exists


def test_a_json_patch_whose_test_fails_is_invalid(client: Client) -> None:
    client.create(TEST_JOBS, body("a"))
    steps = [
        {"op": "test", "path": "/status/phase", "value": "Running"},
        {"op": "add", "path": "/status/message", "value": "x"},
    ]

    with pytest.raises(ApiError) as refusal:
        client.patch(TEST_JOBS, "a", steps, kind="json", subresource="status")

    assert refusal.value.is_invalid


def test_a_server_side_apply(client: Client) -> None:
    applied = client.patch(TEST_JOBS, "a", body("a", priority=8), kind="apply", field_manager="test")

    assert applied["spec"]["priority"] == 8


def test_a_deletion_holds_only_for_the_object_that_was_meant(client: Client) -> None:
    client.create(TEST_JOBS, body("a"))

    with pytest.raises(ApiError) as refusal:
        client.delete(TEST_JOBS, "a", uid="00000000-0000-0000-0000-000000000000")

    assert refusal.value.is_conflict


def test_a_list_is_read_in_pages(client: Client) -> None:
    for number in range(5):
        client.create(TEST_JOBS, body(f"j{number}"))

    assert [job["metadata"]["name"] for job in client.list(TEST_JOBS, limit=2)] == [
        "j0",
        "j1",
        "j2",
        "j3",
        "j4",
    ]


def test_selectors_select_on_the_server(client: Client) -> None:
    client.create(TEST_JOBS, body("a"))
    client.create(TEST_JOBS, body("b", orgId="other"))

    found = client.list(TEST_JOBS, field_selector="spec.orgId=other,status.phase=Pending")

    assert [job["metadata"]["name"] for job in found] == ["b"]


def test_a_watch_can_be_closed_by_another_thread(client: Client) -> None:
    version = client.list_page(TEST_JOBS)["metadata"]["resourceVersion"]
    watch = client.watch(TEST_JOBS, resource_version=version)
    seen: list[str] = []
    first = threading.Event()

    def read() -> None:
        for kind, _ in watch:
            seen.append(kind)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    client.create(TEST_JOBS, body("a"))
    assert first.wait(60)
    watch.close()
    reader.join(60)

    assert not reader.is_alive()
    assert seen == ["ADDED"]


def test_a_watch_ends_by_itself(client: Client) -> None:
    version = client.list_page(TEST_JOBS)["metadata"]["resourceVersion"]

    assert list(client.watch(TEST_JOBS, resource_version=version, timeout_seconds=1, bookmarks=False)) == []


def test_a_version_that_is_too_old_is_gone(client: Client) -> None:
    with pytest.raises(ApiError) as refusal:
        list(client.watch(TEST_JOBS, resource_version="1", timeout_seconds=30))

    assert refusal.value.is_gone


def test_following_goes_on_after_an_outage(crds: ThrowawayControlPlane, client: Client) -> None:
    client.create(TEST_JOBS, body("before"))
    events = follow(client, TEST_JOBS)
    first = next(events)
    assert isinstance(first, Listed)

    crds.stop()
    assert isinstance(next(events), Trouble)
    crds.start()
    client.create(TEST_JOBS, body("after"))

    for event in events:
        match event:
            case Listed(objects) if "after" in {each["metadata"]["name"] for each in objects}:
                break
            case Changed({"metadata": {"name": "after"}}):
                break


def test_threads_share_a_client(client: Client) -> None:
    client.create(TEST_JOBS, body("a"))
    answers: list[str] = []

    def read() -> None:
        answers.extend(client.get(TEST_JOBS, "a")["metadata"]["name"] for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == ["a"] * 80


def test_other_resources_are_reached_by_their_api_version(client: Client, namespace: str) -> None:
    client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "b"}}, api_version="v1")

    assert client.get("configmaps", "c", api_version="v1")["data"] == {"a": "b"}
    assert client.get("configmaps", "c", api_version="v1", namespace=namespace)["metadata"]["name"] == "c"
    assert list(client.list("jobs", api_version="batch/v1")) == []
