"""Deleting what ended long ago, while the API server has its moods. In order: tests/apiserver."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import API_VERSION
from testqueue.core.model import JobView, LastRun
from testqueue.core.store import Store
from testqueue.kube.objects import Objects
from testqueue.kube.ttl import Expiry

from .conftest import refuses, says

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from testqueue.kube.session import ApiSession

    from .conftest import ScriptedServer

LIST = f"/apis/{API_VERSION}/testjobs"
JOB = f"/apis/{API_VERSION}/namespaces/ci/testjobs/j"
#: Seconds since the epoch; the TestJob of these tests ended long before.
NOW = 2_000_000_000.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testqueue.kube.ttl.RETRY_SECONDS", 0.01)


async def test_what_had_ended_before_is_found_and_deleted_as_it_was_seen(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", LIST, listing(job("7")))
    server.on("GET", JOB, says(job("8")))
    server.on("DELETE", JOB, says({}))

    async with expiring(session):
        body = await deleted(server)

    assert body["preconditions"] == {"uid": "uid-j", "resourceVersion": "8"}


async def test_how_long_they_took_is_told(server: ScriptedServer, session: ApiSession) -> None:
    ended = job("7")
    times = {"startTime": "2026-01-01T00:00:00Z", "finishTime": "2026-01-01T00:00:08Z"}
    ended["status"]["attempts"] = [{"outcome": "passed", **times}]
    server.on("GET", LIST, listing(ended))
    server.on("GET", JOB, refuses(404))
    heard: list[LastRun] = []

    async with expiring(session, on_ended=heard.append):
        await until(lambda: bool(heard))

    assert (heard[0].test, heard[0].seconds) == ("t", 8)


async def test_a_list_that_fails_is_asked_for_again(server: ScriptedServer, session: ApiSession) -> None:
    server.on("GET", LIST, refuses(403), listing(job("7")))
    server.on("GET", JOB, says(job("7")))
    server.on("DELETE", JOB, says({}))

    async with expiring(session):
        await deleted(server)


@pytest.mark.parametrize("status", [403, 409, 500])
async def test_what_could_not_be_deleted_is_tried_again(
    server: ScriptedServer, session: ApiSession, status: int
) -> None:
    server.on("GET", LIST, listing(job("7")))
    server.on("GET", JOB, says(job("7")))
    server.on("DELETE", JOB, refuses(status), says({}))

    async with expiring(session):
        await deleted(server, times=2)


async def test_what_was_replayed_meanwhile_is_left_alone(server: ScriptedServer, session: ApiSession) -> None:
    server.on("GET", LIST, listing(job("7")))
    server.on("GET", JOB, says(job("8", phase="Pending")))

    async with expiring(session):
        await until(lambda: server.count("GET", JOB) >= 1)

    assert server.count("DELETE", JOB) == 0


async def test_another_object_of_the_same_name_is_left_alone(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", LIST, listing(job("7")))
    other = job("9")
    other["metadata"]["uid"] = "another"
    server.on("GET", JOB, says(other))

    async with expiring(session):
        await until(lambda: server.count("GET", JOB) >= 1)

    assert server.count("DELETE", JOB) == 0


async def test_what_argo_cd_or_flux_manages_is_never_deleted(
    server: ScriptedServer, session: ApiSession
) -> None:
    managed = job("7")
    managed["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    server.on("GET", LIST, listing(managed))

    async with expiring(session) as expiry:
        await until(lambda: server.count("GET", LIST) >= 2)
        expiry.job_left(JobView.from_object(managed))
        await asyncio.sleep(0)

    assert server.count("GET", JOB) == 0


async def test_a_test_job_that_leaves_the_view_is_looked_at_when_its_time_has_come(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", LIST, listing())
    server.on("GET", JOB, says(job("8")))
    server.on("DELETE", JOB, says({}))

    async with expiring(session, ttl=0.0) as expiry:
        await until(lambda: server.count("GET", LIST) >= 2)
        expiry.job_left(JobView.from_object(job("7", phase="Running")))
        await deleted(server)


async def test_a_new_list_of_the_reflector_has_the_finished_ones_listed_too(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", LIST, listing(), listing(), listing(job("7")))
    server.on("GET", JOB, says(job("7")))
    server.on("DELETE", JOB, says({}))

    async with expiring(session) as expiry:
        await until(lambda: server.count("GET", LIST) >= 2)
        expiry.jobs_listed()
        await deleted(server)


def job(version: str, *, phase: str = "Succeeded") -> dict[str, Any]:
    finished = {"finishTime": "2026-01-01T00:00:00Z"} if phase == "Succeeded" else {}
    return {
        "metadata": {
            "namespace": "ci",
            "name": "j",
            "uid": "uid-j",
            "resourceVersion": version,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"orgId": "o", "appVersionId": "v", "test": "t", "target": "phones"},
        "status": {"phase": phase, **finished},
    }


def listing(*jobs: dict[str, Any]) -> Any:
    return says({"metadata": {"resourceVersion": "7"}, "items": list(jobs)})


@asynccontextmanager
async def expiring(
    session: ApiSession, ttl: float = 60.0, on_ended: Callable[[LastRun], None] = lambda _: None
) -> AsyncIterator[Expiry]:
    store = Store(3600)
    objects = Objects(session, store, lambda: None, 4)
    expiry = Expiry(
        session,
        objects,
        store,
        namespace="",
        job_ttl=ttl,
        batch_ttl=ttl,
        on_ended=on_ended,
        clock=lambda: NOW,
    )
    task = asyncio.create_task(expiry.run())
    try:
        yield expiry
        assert not task.done()
    finally:
        task.cancel()


async def deleted(server: ScriptedServer, times: int = 1) -> dict[str, Any]:
    await until(lambda: server.count("DELETE", JOB) >= times)
    return server.bodies[-1]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (what is waited for is a server's view)
            await asyncio.sleep(0.002)
