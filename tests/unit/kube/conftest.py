"""An HTTP server on loopback that answers what a test tells it to, for faults that are rare."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

import kopf
import pytest
from aiohttp import web

from testqueue.kube.session import ApiSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedServer:
    """Answers by method and path, in the given order; the last answer repeats."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        #: What the writes said, in order.
        self.bodies: list[dict[str, Any]] = []
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path].extend(answers)

    def count(self, method: str, path: str) -> int:
        return sum(1 for request in self.requests if request[:2] == (method, path))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        key = (request.method, request.path)
        if request.method != "GET":
            self.bodies.append(json.loads(await request.read() or b"{}"))
        self.requests.append((*key, dict(request.query)))
        answers = self._answers[key]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)  # type: ignore[arg-type]


def says(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """One JSON answer."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def refuses(status: int, reason: str = "", headers: dict[str, str] | None = None) -> Answer:
    """A Kubernetes Status object that says no."""
    body = {"kind": "Status", "code": status, "reason": reason, "message": f"scripted {status}"}
    return says(body, status, headers)


def streams(*lines: dict[str, Any] | bytes, cut: bool = False) -> Answer:
    """A watch: these lines, then the regular end, or with `cut` a broken connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def breaks_off() -> Answer:
    """The request arrives, and the connection ends with no answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


class FixedCredentials:
    """A token that changes with every renewal: t1, t2, …"""

    def __init__(self, server: str) -> None:
        self._server = server
        self.renewals = 0

    def current(self, *, renew: bool = False) -> kopf.ConnectionInfo:
        self.renewals += renew
        return kopf.ConnectionInfo(server=self._server, token=f"t{self.renewals + 1}")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
async def session(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiSession]:
    # The pauses are right for a cluster and too long for a test; their number is what is looked at.
    monkeypatch.setattr("testqueue.kube.session.backoff", lambda *_, **__: 0.001)
    monkeypatch.setattr("testqueue.kube.reflector.backoff", lambda *_, **__: 0.001)
    async with ApiSession(FixedCredentials(server.url)) as opened:
        yield opened
