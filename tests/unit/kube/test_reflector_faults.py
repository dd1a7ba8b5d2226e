"""What the reflector does about a server that misbehaves. How it behaves with a real one: tests/apiserver."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from testqueue.kube.reflector import Reflector

from .conftest import breaks_off, refuses, says, streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from testqueue.kube.session import ApiSession

    from .conftest import ScriptedServer

PATH = "/apis/qgjob.dev/v1alpha1/testjobs"


class Copy:
    """A sink that can be waited for."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.replaced = 0
        self._changed = asyncio.Event()

    def replace(self, objects: list[tuple[str, str]], version: int) -> None:
        self.objects = dict(objects)
        self.replaced += 1
        self._changed.set()

    def apply(self, view: tuple[str, str]) -> None:
        self.objects[view[0]] = view[1]
        self._changed.set()

    def remove(self, view: tuple[str, str]) -> None:
        self.objects.pop(view[0], None)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


async def test_a_watch_that_breaks_off_goes_on_from_the_last_version(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on(
        "GET",
        PATH,
        listing(1, a="old"),
        streams(event("MODIFIED", 2, "a", "new"), cut=True),
        streams(event("ADDED", 3, "b", "x"), forever()),
    )

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"a": "new", "b": "x"})

    assert copy.replaced == 1
    assert watched_from(server)[:2] == ["1", "2"]


async def test_a_bookmark_moves_the_version_on(server: ScriptedServer, session: ApiSession) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "50"}}}
    server.on("GET", PATH, listing(1), streams(bookmark), streams(event("ADDED", 51, "a", "x"), forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: "a" in copy.objects)

    assert watched_from(server)[:2] == ["1", "50"]


async def test_a_gone_version_is_answered_by_a_new_list_that_replaces(
    server: ScriptedServer, session: ApiSession
) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    server.on("GET", PATH, listing(1, a="x", b="x"), streams(gone), listing(9, b="y"), streams(forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"b": "y"})

    assert copy.replaced == 2


async def test_410_as_http_status_does_the_same(server: ScriptedServer, session: ApiSession) -> None:
    server.on("GET", PATH, listing(1, a="x"), refuses(410, "Expired"), listing(9, b="y"), streams(forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"b": "y"})


async def test_another_error_event_resumes_without_a_list(
    server: ScriptedServer, session: ApiSession
) -> None:
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd leader changed"}}
    server.on("GET", PATH, listing(1), streams(error), streams(event("ADDED", 2, "a", "x"), forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: "a" in copy.objects)

    assert copy.replaced == 1


async def test_a_malformed_event_is_not_taken_and_the_watch_resumes(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on(
        "GET",
        PATH,
        listing(1),
        streams(b'{"type":"ADDED","obj\n'),
        streams(event("ADDED", 2, "a", "x"), forever()),
    )

    async with reflecting(session) as copy:
        await copy.until(lambda: "a" in copy.objects)

    assert watched_from(server)[:2] == ["1", "1"]


async def test_watches_that_bring_only_errors_end_in_a_new_list(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", PATH, listing(1), *[refuses(503)] * 5, listing(7, a="x"), streams(forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"a": "x"})

    assert copy.replaced == 2


async def test_an_absence_of_the_server_is_no_reason_to_list_anew(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on(
        "GET",
        PATH,
        listing(1),
        *[breaks_off()] * 8,
        streams(event("ADDED", 2, "a", "x"), forever()),
    )

    async with reflecting(session) as copy:
        await copy.until(lambda: "a" in copy.objects)

    assert copy.replaced == 1


async def test_an_object_that_cannot_be_read_does_not_hide_the_others(
    server: ScriptedServer, session: ApiSession
) -> None:
    odd = {"metadata": {"name": "odd", "resourceVersion": "1"}}
    listed = says({"metadata": {"resourceVersion": "1"}, "items": [odd, obj(1, "a", "x")]})
    server.on(
        "GET",
        PATH,
        listed,
        streams({"type": "MODIFIED", "object": odd}, event("ADDED", 2, "b", "y"), forever()),
    )

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"a": "x", "b": "y"})

    assert copy.replaced == 1


async def test_an_answer_that_is_no_list_is_asked_for_again(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", PATH, says({}), listing(1, a="x"), streams(forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"a": "x"})


async def test_a_list_that_outlives_the_servers_memory_starts_again(
    server: ScriptedServer, session: ApiSession
) -> None:
    half = says({"metadata": {"resourceVersion": "1", "continue": "c"}, "items": [obj(1, "a", "half")]})
    server.on("GET", PATH, half, refuses(410, "Expired"), listing(5, a="whole"), streams(forever()))

    async with reflecting(session) as copy:
        await copy.until(lambda: copy.objects == {"a": "whole"})

    assert copy.replaced == 1


async def test_it_is_not_synced_before_the_first_whole_list(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", PATH, refuses(403, "Forbidden"), breaks_off(), listing(1, a="x"), streams(forever()))
    copy = Copy()
    reflector = Reflector(session, PATH, copy, read)

    task = asyncio.create_task(reflector.run())
    assert not reflector.synced.is_set()
    await asyncio.wait_for(reflector.synced.wait(), 10)
    task.cancel()

    assert copy.objects == {"a": "x"}


def read(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["name"], item["value"]


def obj(version: int, name: str, value: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, "value": value}


def event(kind: str, version: int, name: str, value: str) -> dict[str, Any]:
    return {"type": kind, "object": obj(version, name, value)}


def listing(version: int, **objects: str) -> Any:
    items = [obj(version, name, value) for name, value in objects.items()]
    return says({"metadata": {"resourceVersion": str(version)}, "items": items})


def forever() -> bytes:
    """A bookmark; the scripted watch ends then, and the next one repeats it: nothing new comes."""
    return b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"99"}}}\n'


def watched_from(server: ScriptedServer) -> list[str]:
    return [query["resourceVersion"] for _, _, query in server.requests if "watch" in query]


@asynccontextmanager
async def reflecting(session: ApiSession) -> AsyncIterator[Copy]:
    copy = Copy()
    task = asyncio.create_task(Reflector(session, PATH, copy, read).run())
    try:
        yield copy
    finally:
        task.cancel()
