"""Leader election between replicas, with a real API server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from testqueue.kube.credentials import KubeconfigCredentials
from testqueue.kube.errors import NotLeaderError
from testqueue.kube.lease import Lease, LeaseLostError, LeaseTimes
from testqueue.kube.session import ApiSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hack.localcluster.throwaway import ThrowawayControlPlane

QUICK = LeaseTimes(duration=3, renew_deadline=2, retry=0.2)


@pytest.fixture
async def session(apiserver: ThrowawayControlPlane) -> AsyncIterator[ApiSession]:
    async with ApiSession(KubeconfigCredentials(str(apiserver.kubeconfig))) as opened:
        yield opened


@pytest.fixture
def path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/l"


async def test_the_first_one_leads_and_the_second_waits(
    session: ApiSession, namespace: str, path: str
) -> None:
    first, second = Lease(session, namespace, "l", "a", QUICK), Lease(session, namespace, "l", "b", QUICK)
    async with running(first), running(second, wait=False):
        assert first.held
        assert not second.held
        with pytest.raises(NotLeaderError):
            second.guard()
        spec = (await session.get(path))["spec"]

    assert spec["holderIdentity"] == "a"
    assert spec["leaseDurationSeconds"] == 3


async def test_a_release_lets_the_next_one_in_before_the_lease_ends(
    session: ApiSession, namespace: str, path: str
) -> None:
    endless = LeaseTimes(duration=3600, renew_deadline=1800, retry=0.2)
    first, second = Lease(session, namespace, "l", "a", endless), Lease(session, namespace, "l", "b", endless)
    async with running(first), running(second, wait=False):
        await first.release()
        assert not first.held

        await asyncio.wait_for(second.acquired.wait(), 30)

        assert (await session.get(path))["spec"]["leaseTransitions"] == 1


async def test_a_silent_holder_is_taken_over_after_the_duration(session: ApiSession, namespace: str) -> None:
    first, second = Lease(session, namespace, "l", "a", QUICK), Lease(session, namespace, "l", "b", QUICK)
    async with running(first):
        pass  # cancelled with no release, as by a crash

    async with running(second):
        assert second.held


async def test_a_holder_that_cannot_renew_stops_before_anyone_may_take_over(
    session: ApiSession, namespace: str, apiserver: ThrowawayControlPlane
) -> None:
    lease = Lease(session, namespace, "l", "a", QUICK)
    task = asyncio.create_task(lease.run())
    await asyncio.wait_for(lease.acquired.wait(), 30)

    apiserver.stop()
    try:
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, 30)
        assert not lease.held
    finally:
        apiserver.start()  # from the main thread: it ends with the thread that started it


async def test_a_short_absence_of_the_server_does_not_cost_the_lease(
    session: ApiSession, namespace: str, apiserver: ThrowawayControlPlane
) -> None:
    lease = Lease(session, namespace, "l", "a", LeaseTimes(duration=90, renew_deadline=60, retry=0.2))
    async with running(lease) as task:
        apiserver.stop()
        apiserver.start()  # from the main thread: it ends with the thread that started it

        assert lease.held
        assert not task.done()


async def test_whoever_finds_another_holder_has_lost(session: ApiSession, namespace: str, path: str) -> None:
    lease = Lease(session, namespace, "l", "a", QUICK)
    task = asyncio.create_task(lease.run())
    await asyncio.wait_for(lease.acquired.wait(), 30)

    await session.patch(path, {"spec": {"holderIdentity": "someone-else"}})

    with pytest.raises(LeaseLostError, match="someone-else has taken it over"):
        await asyncio.wait_for(task, 30)
    assert not lease.held


class running:  # noqa: N801 (reads as a statement)
    """Run a Lease; at the end cancel it, with no release."""

    def __init__(self, lease: Lease, *, wait: bool = True) -> None:
        self._lease = lease
        self._wait = wait

    async def __aenter__(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._lease.run())
        if self._wait:
            await asyncio.wait_for(self._lease.acquired.wait(), 30)
        return self._task

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
