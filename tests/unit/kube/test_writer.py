"""One namespace's trouble and the others' batches. What actions do in the end: tests/apiserver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.constants import API_VERSION
from testqueue.core.actions import CreateBatch, ExplainJob, UpdateTarget
from testqueue.core.model import JobView, Key, TargetView, Turn
from testqueue.core.plan import Planner
from testqueue.core.store import Store
from testqueue.kube.creation import BatchCreation
from testqueue.kube.objects import Objects
from testqueue.kube.repair import Repairs
from testqueue.kube.writer import HOLD_SECONDS, Writer
from testqueue.metrics import Metrics
from testqueue.pods import Images

from .conftest import refuses, says

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from testqueue.kube.session import ApiSession

    from .conftest import ScriptedServer

CI = f"/apis/{API_VERSION}/namespaces/ci"
BATCHES = f"{CI}/testbatches"
TURN = Turn("o", weight=1, floor=0.0, start=0.0, install_seconds=10.0)
JOBS = "/apis/batch/v1/namespaces/ci/jobs"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(session: ApiSession, clock: Clock) -> Writer:
    store = Store(3600)
    planner = Planner(store, lambda: "tb-1")
    objects = Objects(session, store, lambda: None, 4)

    async def nothing(_: str) -> None:
        pass

    creation = BatchCreation(objects, store, Images("r", "a"), set_up=nothing, on_gone=planner.mark_gone)
    repairs = Repairs(objects, store, planner, clock)
    return Writer(objects, creation, repairs, planner, metrics=Metrics(), clock=clock, wake=lambda: None)


async def test_a_batch_does_not_wait_for_an_explanation_that_hangs(
    server: ScriptedServer, writer: Writer
) -> None:
    release = asyncio.Event()
    server.on("PATCH", f"{CI}/testjobs/lost/status", hangs_until(release))
    accept_batch(server)

    async with asyncio.timeout(10):
        await writer.run([ExplainJob(job("lost"), "TargetNotFound", "no such target"), update()])

    assert server.count("POST", JOBS) == 1
    release.set()
    await writer.finish()


async def test_what_was_refused_for_a_target_is_not_tried_again_at_once(
    server: ScriptedServer, writer: Writer, clock: Clock
) -> None:
    server.on("POST", BATCHES, refuses(403, "Forbidden"))

    await writer.run([update()])
    await writer.run([update()])
    assert server.count("POST", BATCHES) == 1

    clock.now += HOLD_SECONDS
    await writer.run([update()])
    assert server.count("POST", BATCHES) == 2


async def test_a_lost_claim_is_looked_at_and_found_to_be_won(server: ScriptedServer, writer: Writer) -> None:
    server.on("POST", BATCHES, says(batch()))
    server.on("PATCH", f"{CI}/testjobs/a/status", refuses(500))
    server.on("GET", f"{CI}/testjobs/a", says(raw_job("a", phase="Scheduled", batch="tb-1", attempt=1)))
    server.on("POST", JOBS, refuses(409, "AlreadyExists"))

    await writer.run([update()])

    assert server.count("PATCH", f"{CI}/testjobs/a/status") == 1
    assert server.count("POST", JOBS) == 1


async def test_a_batch_that_got_nothing_is_deleted_once_nothing_of_it_is_there(
    server: ScriptedServer, writer: Writer
) -> None:
    server.on("POST", BATCHES, says(batch()))
    server.on("PATCH", f"{CI}/testjobs/a/status", refuses(409, "Conflict"))
    server.on("GET", f"{CI}/testjobs/a", says(raw_job("a", phase="Cancelled")))
    server.on("GET", f"{JOBS}/tb-1", refuses(404, "NotFound"))
    server.on("GET", f"{CI}/testjobs", says({"metadata": {}, "items": []}))
    server.on("DELETE", f"{BATCHES}/tb-1", says({}))

    await writer.run([update()])

    assert server.bodies[-1]["preconditions"] == {"uid": "uid-b", "resourceVersion": "5"}
    assert server.count("POST", JOBS) == 0


async def test_a_batch_that_someone_else_went_on_with_is_not_deleted(
    server: ScriptedServer, writer: Writer
) -> None:
    server.on("POST", BATCHES, says(batch()))
    server.on("PATCH", f"{CI}/testjobs/a/status", refuses(409, "Conflict"))
    server.on("GET", f"{CI}/testjobs/a", says(raw_job("a", phase="Cancelled")))
    server.on("GET", f"{JOBS}/tb-1", says(kube_job()))

    await writer.run([update()])

    assert server.count("DELETE", f"{BATCHES}/tb-1") == 0


@pytest.mark.parametrize(("leased", "created"), [("tb-other", 0), ("", 1)])
async def test_a_phone_that_another_target_has_leased_meanwhile_gets_no_batch(
    server: ScriptedServer, writer: Writer, leased: str, created: int
) -> None:
    """Two operators that lead at once write to two targets, so no precondition stops the second one."""
    accept_batch(server)
    server.on("PATCH", f"{CI}/testtargets/phones/status", says(raw_target("phones", "x", "tb-1")))
    server.on("GET", f"{CI}/testtargets/tablets", says(raw_target("tablets", "y", leased)))

    await writer.run([update_with_a_shared_phone()])

    assert server.count("POST", BATCHES) == created


def accept_batch(server: ScriptedServer) -> None:
    server.on("POST", BATCHES, says(batch()))
    server.on(
        "PATCH", f"{CI}/testjobs/a/status", says(raw_job("a", phase="Scheduled", batch="tb-1", attempt=1))
    )
    server.on("POST", JOBS, says(kube_job()))


def hangs_until(event: asyncio.Event) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        await event.wait()
        return await says(raw_job("lost"))(request)

    return answer


def update() -> UpdateTarget:
    target = TargetView.from_object(
        {
            "metadata": meta("phones", "uid-t"),
            "spec": {"provider": {"none": {}}, "driver": {"name": "simulate"}},
        }
    )
    creation = CreateBatch(
        target=target,
        name="tb-1",
        app_version_id="v",
        device=None,
        jobs=(job("a"),),
        seconds=(5.0,),
        turn=TURN,
    )
    return UpdateTarget(target, (), target.counts, (creation,))


def raw_target(name: str, device: str, leased: str = "") -> dict[str, Any]:
    phone = {"name": device, "address": "10.0.0.7:5555"}
    return {
        "metadata": meta(name, f"uid-{name}"),
        "spec": {"provider": {"devices": [phone]}, "driver": {"name": "command"}},
        "status": {"devices": [{**phone, "batch": leased}]},
    }


def update_with_a_shared_phone() -> UpdateTarget:
    target = TargetView.from_object(raw_target("phones", "x"))
    creation = CreateBatch(
        target=target,
        name="tb-1",
        app_version_id="v",
        device=target.devices[0],
        jobs=(job("a"),),
        seconds=(5.0,),
        turn=TURN,
        rivals=(Key("ci", "tablets"),),
    )
    return UpdateTarget(target, target.leases, target.counts, (creation,))


def job(name: str) -> JobView:
    return JobView.from_object(raw_job(name))


def raw_job(name: str, **status: Any) -> dict[str, Any]:
    spec = {"orgId": "o", "appVersionId": "v", "test": "t", "target": "phones"}
    return {"metadata": meta(name, f"uid-{name}"), "spec": spec, "status": status}


def batch() -> dict[str, Any]:
    entry = {"name": "a", "uid": "uid-a", "attempt": 1}
    spec = {"appVersionId": "v", "target": "phones", "priority": 5, "jobs": [entry]}
    return {"metadata": meta("tb-1", "uid-b"), "spec": spec, "status": {}}


def kube_job() -> dict[str, Any]:
    return {"metadata": meta("tb-1", "uid-k"), "spec": {}, "status": {}}


def meta(name: str, uid: str) -> dict[str, str]:
    return {
        "namespace": "ci",
        "name": name,
        "uid": uid,
        "resourceVersion": "5",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
