"""What the session repeats by itself, and what it leaves to the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from testqueue.kube.errors import ApiError, NotLeaderError, Unreachable
from testqueue.kube.session import ApiSession

from .conftest import FixedCredentials, breaks_off, refuses, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import ScriptedServer

POD = "/api/v1/namespaces/ns/pods/p"


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_get_is_repeated_while_the_server_has_trouble(
    server: ScriptedServer, session: ApiSession, status: int
) -> None:
    server.on("GET", POD, refuses(status), refuses(status), says({"kind": "Pod"}))

    assert await session.get(POD) == {"kind": "Pod"}


async def test_a_get_is_repeated_after_a_lost_answer(server: ScriptedServer, session: ApiSession) -> None:
    server.on("GET", POD, breaks_off(), says({"kind": "Pod"}))

    assert await session.get(POD) == {"kind": "Pod"}


async def test_a_get_of_what_is_not_there_is_not_repeated(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", POD, refuses(404, "NotFound"))

    with pytest.raises(ApiError) as caught:
        await session.get(POD)

    assert caught.value.is_not_found
    assert server.count("GET", POD) == 1


async def test_a_write_is_repeated_after_429_because_it_was_not_carried_out(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("PATCH", POD, refuses(429, headers={"Retry-After": "0"}), says({"kind": "Pod"}))

    assert await session.patch(POD, {}) == {"kind": "Pod"}


@pytest.mark.parametrize("status", [500, 503, 409, 422])
async def test_a_write_that_was_refused_otherwise_goes_to_the_sender(
    server: ScriptedServer, session: ApiSession, status: int
) -> None:
    server.on("PATCH", POD, refuses(status))

    with pytest.raises(ApiError):
        await session.patch(POD, {})

    assert server.count("PATCH", POD) == 1


async def test_a_write_whose_answer_was_lost_is_not_repeated(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("POST", "/api/v1/namespaces/ns/pods", breaks_off())

    with pytest.raises(Unreachable) as caught:
        await session.create("/api/v1/namespaces/ns/pods", {})

    assert caught.value.sent
    assert server.count("POST", "/api/v1/namespaces/ns/pods") == 1


async def test_a_server_that_is_not_there_is_unreachable_and_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("testqueue.kube.session.backoff", lambda *_, **__: 0.001)
    async with ApiSession(FixedCredentials("http://127.0.0.1:1")) as session:
        with pytest.raises(Unreachable) as caught:
            await session.delete(POD)

    assert not caught.value.sent


async def test_refused_credentials_are_renewed_once(server: ScriptedServer) -> None:
    async def wants_t2(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer t2":
            return web.json_response({"code": 401}, status=401)
        return web.json_response({"kind": "Pod"})

    server.on("PATCH", POD, wants_t2)
    credentials = FixedCredentials(server.url)
    async with ApiSession(credentials) as session:
        assert await session.patch(POD, {}) == {"kind": "Pod"}

    assert credentials.renewals == 1


async def test_credentials_that_stay_refused_are_an_error(
    server: ScriptedServer, session: ApiSession
) -> None:
    server.on("GET", POD, refuses(401, "Unauthorized"))

    with pytest.raises(ApiError) as caught:
        await session.get(POD)

    assert caught.value.status == 401
    assert server.count("GET", POD) == 2


async def test_the_guard_is_asked_before_each_sending(server: ScriptedServer, session: ApiSession) -> None:
    server.on("PATCH", POD, refuses(429), says({}))

    with pytest.raises(NotLeaderError):
        await session.patch(POD, {}, guard=_once())

    assert server.count("PATCH", POD) == 1


async def test_writes_are_counted_with_their_code(server: ScriptedServer) -> None:
    server.on("GET", POD, says({}))
    server.on("PATCH", POD, refuses(429), says({}))
    server.on("POST", "/api/v1/namespaces/ns/pods", breaks_off())
    counted: list[tuple[str, str, str]] = []
    async with ApiSession(
        FixedCredentials(server.url), count_write=lambda *write: counted.append(write)
    ) as session:
        await session.get(POD)
        await session.patch(POD, {})
        with pytest.raises(Unreachable):
            await session.create("/api/v1/namespaces/ns/pods", {})

    assert counted == [
        ("patch", POD, "429"),
        ("patch", POD, "200"),
        ("post", "/api/v1/namespaces/ns/pods", "lost"),
    ]


async def test_a_list_is_read_in_chunks(server: ScriptedServer, session: ApiSession) -> None:
    server.on(
        "GET",
        "/api/v1/pods",
        says({"metadata": {"continue": "next"}, "items": [1, 2]}),
        says({"metadata": {}, "items": [3]}),
    )

    assert await session.items("/api/v1/pods", label_selector="a=b") == [1, 2, 3]
    assert [query.get("continue") for _, _, query in server.requests] == [None, "next"]
    assert {query["labelSelector"] for _, _, query in server.requests} == {"a=b"}


async def test_a_line_of_a_stream_may_be_longer_than_any_buffer(
    server: ScriptedServer, session: ApiSession
) -> None:
    long = b"x" * 1_000_000

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a\n" + long + b"\nb\n")
        return response

    server.on("GET", "/w", answer)
    async with session.stream("/w", {}, silence_seconds=5) as lines:
        assert [line async for line in lines] == [b"a", long, b"b"]


def _once() -> Callable[[], None]:
    asked = iter(range(1))

    def guard() -> None:
        if next(asked, None) is None:
            raise NotLeaderError("no longer the leader")

    return guard
