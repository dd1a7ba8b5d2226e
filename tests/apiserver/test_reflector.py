"""The reflector against a real API server: selection, gaps, restarts, and what a relist finds out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from testqueue.kube.credentials import KubeconfigCredentials
from testqueue.kube.reflector import Reflector
from testqueue.kube.session import ApiSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hack.localcluster.throwaway import ThrowawayControlPlane


class Copy:
    """A sink that can be waited for; keeps name → value."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.removed: list[tuple[str, str]] = []
        self.lists = 0
        self._changed = asyncio.Event()

    def replace(self, objects: list[tuple[str, str]], version: int) -> None:
        self.objects = dict(objects)
        self.lists += 1
        self._changed.set()

    def apply(self, view: tuple[str, str]) -> None:
        self.objects[view[0]] = view[1]
        self._changed.set()

    def remove(self, view: tuple[str, str]) -> None:
        self.objects.pop(view[0], None)
        self.removed.append(view)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def session(apiserver: ThrowawayControlPlane) -> AsyncIterator[ApiSession]:
    async with ApiSession(KubeconfigCredentials(str(apiserver.kubeconfig))) as opened:
        yield opened


@pytest.fixture
def path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def test_it_follows_what_is_created_changed_and_deleted(session: ApiSession, path: str) -> None:
    await put(session, path, "before", "1")
    async with reflecting(session, path) as copy:
        await copy.until(lambda: "before" in copy.objects)
        await put(session, path, "after", "1")
        await session.patch(f"{path}/after", {"data": {"v": "2"}})
        await session.delete(f"{path}/before")

        await copy.until(lambda: copy.objects == {"after": "2"})


async def test_a_long_list_comes_in_chunks_and_whole(session: ApiSession, path: str) -> None:
    names = {f"c{number:02}" for number in range(25)}
    for name in names:
        await put(session, path, name, "1")

    async with reflecting(session, path, page=10) as copy:
        await copy.until(lambda: set(copy.objects) == names)

    assert copy.lists == 1


async def test_what_leaves_the_selection_is_removed_with_its_old_content(
    session: ApiSession, path: str
) -> None:
    await put(session, path, "a", "old", labels={"live": "yes"})
    async with reflecting(session, path, label_selector="live=yes") as copy:
        await copy.until(lambda: "a" in copy.objects)

        await session.patch(f"{path}/a", {"metadata": {"labels": {"live": "no"}}, "data": {"v": "new"}})

        await copy.until(lambda: not copy.objects)
    assert copy.removed == [("a", "old")]


async def test_after_a_restart_of_the_server_nothing_is_missed(
    session: ApiSession, path: str, apiserver: ThrowawayControlPlane
) -> None:
    await put(session, path, "stays", "1")
    await put(session, path, "goes", "1")
    async with reflecting(session, path) as copy:
        await copy.until(lambda: len(copy.objects) == 2)
        apiserver.stop()
        apiserver.start()  # from the main thread: it ends with the thread that started it
        await session.delete(f"{path}/goes")
        await put(session, path, "comes", "1")

        await copy.until(lambda: copy.objects == {"stays": "1", "comes": "1"})


async def test_a_deletion_that_nobody_watched_is_found_by_the_next_list(
    session: ApiSession, path: str, apiserver: ThrowawayControlPlane
) -> None:
    """The version to resume from is made too old, as after an absence longer than the server's memory."""
    await put(session, path, "a", "1")
    await put(session, path, "b", "1")
    copy = Copy()
    reflector = reflector_of(session, path, copy)
    async with running(reflector):
        await copy.until(lambda: len(copy.objects) == 2)
    await session.delete(f"{path}/a")
    # A version from before the cluster's first object: the server answers 410 Gone.
    apiserver.stop()
    apiserver.start()  # from the main thread: it ends with the thread that started it
    reflector._version = "1"
    with pytest.raises(Exception, match="too old"):
        await reflector._watch()

    async with running(reflector):
        await copy.until(lambda: copy.objects == {"b": "1"})
    assert copy.removed == []


async def put(session: ApiSession, path: str, name: str, value: str, **metadata: Any) -> None:
    await session.create(path, {"metadata": {"name": name, **metadata}, "data": {"v": value}})


def reflector_of(session: ApiSession, path: str, copy: Copy, **options: Any) -> Reflector[tuple[str, str]]:
    def read(item: dict[str, Any]) -> tuple[str, str]:
        return item["metadata"]["name"], item.get("data", {}).get("v", "")

    return Reflector(session, path, copy, read, **options)


@asynccontextmanager
async def running(reflector: Reflector[tuple[str, str]]) -> AsyncIterator[None]:
    task = asyncio.create_task(reflector.run())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def reflecting(session: ApiSession, path: str, **options: Any) -> AsyncIterator[Copy]:
    copy = Copy()
    async with running(reflector_of(session, path, copy, **options)):
        yield copy
