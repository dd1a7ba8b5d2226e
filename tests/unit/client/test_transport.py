"""Requests to servers that answer badly, or not at all. A real HTTP server on loopback plays them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.client.client import Client
from qgjob.client.config import ServerConfig
from qgjob.client.credentials import HookCredentials
from qgjob.client.errors import ApiError, Unreachable
from qgjob.client.transport import Transport
from tests.unit.client.servers import answer, served

if TYPE_CHECKING:
    from tests.unit.client.servers import Handler

LOGIN_PAGE = b"<!doctype html>\n<html><title>Please log in</title></html>"


def transport(url: str, **config: Any) -> tuple[Transport, list[float]]:
    """A transport, and the pauses that it made (it makes none)."""
    pauses: list[float] = []
    return Transport(ServerConfig(url, **config), sleep=pauses.append), pauses


def get(client: Transport, **options: Any) -> Any:
    return client.request("GET", "/x", timeout=5, **options)


def test_requests_share_a_connection() -> None:
    peers = set()

    def play(handler: Handler, number: int) -> None:
        peers.add(handler.client_address)
        answer(handler, 200, number)

    with served(play) as url:
        client, _ = transport(url)
        assert [get(client) for _ in range(3)] == [0, 1, 2]

    assert len(peers) == 1


def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    def play(handler: Handler, number: int) -> None:
        answer(handler, 200, number)
        handler.close_connection = True  # without having said so

    with served(play) as url:
        client, _ = transport(url)
        assert [get(client) for _ in range(3)] == [0, 1, 2]


def test_too_many_requests_waits_as_long_as_it_is_told() -> None:
    def play(handler: Handler, number: int) -> None:
        if number < 2:
            answer(handler, 429, {"kind": "Status", "code": 429}, Retry_After="3")
        else:
            answer(handler, 200, "done")

    with served(play) as url:
        client, pauses = transport(url)
        assert client.request("POST", "/x", body={}, timeout=5) == "done"

    assert pauses == [3.0, 3.0]


def test_a_refused_token_is_renewed_once() -> None:
    tokens = iter(["Bearer old", "Bearer new", "Bearer newer"])

    def play(handler: Handler, _: int) -> None:
        code = 200 if handler.headers["Authorization"] == "Bearer new" else 401
        answer(handler, code, {"kind": "Status", "code": code})

    with served(play) as url:
        client, _ = transport(url, credentials=HookCredentials(lambda: next(tokens)))
        assert get(client)["code"] == 200


def test_a_token_that_stays_refused_is_told() -> None:
    def play(handler: Handler, _: int) -> None:
        answer(handler, 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"})

    tokens = iter(["Bearer a", "Bearer b"])
    with served(play) as url:
        client, _ = transport(url, credentials=HookCredentials(lambda: next(tokens)))
        with pytest.raises(ApiError) as refusal:
            get(client)

    assert refusal.value.reason == "Unauthorized"


def test_a_write_is_not_sent_again_when_its_answer_is_lost() -> None:
    seen = []

    def play(handler: Handler, number: int) -> None:
        seen.append(number)
        if number == 0:
            answer(handler, 200, {})
        else:
            handler.close_connection = True

    with served(play) as url:
        client, _ = transport(url)
        client.request("POST", "/x", body={}, timeout=5)
        with pytest.raises(Unreachable):
            client.request("POST", "/x", body={}, timeout=5)

    assert seen == [0, 1]


def test_a_read_is_sent_again_when_asked_to() -> None:
    def play(handler: Handler, number: int) -> None:
        if number < 2:
            answer(handler, 503, {"kind": "Status", "code": 503, "message": "starting"})
        else:
            answer(handler, 200, "done")

    with served(play) as url:
        client, pauses = transport(url)
        assert get(client, retries=2) == "done"

    assert pauses == [0.5, 1.0]


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    def play(handler: Handler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"half":')
        handler.close_connection = True

    with served(play) as url:
        client, _ = transport(url)
        with pytest.raises(Unreachable):
            get(client)


def test_a_server_that_is_not_there_is_told_with_its_address() -> None:
    client, _ = transport("http://127.0.0.1:1", context="prod")

    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 \(context prod\): connection refused"):
        get(client)


def test_a_proxys_page_is_quoted() -> None:
    with served(lambda handler, _: answer(handler, 502, b"<html>Bad Gateway</html>")) as url:
        client, _ = transport(url)
        with pytest.raises(ApiError, match="HTTP 502: <html>Bad Gateway</html>"):
            get(client)


def test_a_login_page_is_no_answer_of_the_api_server() -> None:
    def play(handler: Handler, _: int) -> None:
        answer(handler, 200, LOGIN_PAGE, Content_Type="text/html")

    with served(play) as url:
        client, _ = transport(url, context="prod")
        with pytest.raises(Unreachable) as error:
            get(client)

    assert str(error.value) == (
        f"what answers at {url} (context prod) is no Kubernetes API server "
        "(HTTP 200, text/html: '<!doctype html> <html><title>Please log in</title></html>'). "
        "Is a proxy or a login page in between, and the kubeconfig the right one?"
    )


def test_a_redirect_to_a_login_page_is_no_answer_either() -> None:
    with served(lambda handler, _: answer(handler, 302, b"", Location="https://sso.example.com")) as url:
        client, _ = transport(url)
        with pytest.raises(Unreachable, match=r"\(HTTP 302: to https://sso\.example\.com\)"):
            get(client)


def test_an_empty_answer_is_none() -> None:
    with served(lambda handler, _: answer(handler, 200, b"")) as url:
        client, _ = transport(url)
        with pytest.raises(Unreachable, match=r"\(HTTP 200: nothing\)"):
            get(client)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (LOGIN_PAGE, r"is no Kubernetes API server \('<!doctype html>'\)"),
        (b'{"type": "MODIFIED", "obj', "broke in the middle of a line"),
    ],
)
def test_a_watch_that_gets_something_else_ends(body: bytes, message: str) -> None:
    with served(lambda handler, _: answer(handler, 200, body)) as url:
        watch = Client(ServerConfig(url)).watch("testjobs", resource_version="1")
        with pytest.raises(Unreachable, match=message):
            list(watch)


def test_warnings_are_handed_on() -> None:
    def play(handler: Handler, _: int) -> None:
        answer(handler, 200, {}, Warning='299 - "unknown field \\"spec.x\\""')

    warnings: list[str] = []
    with served(play) as url:
        client, _ = transport(url)
        client.on_warning = warnings.append
        get(client)

    assert warnings == ['unknown field "spec.x"']


def test_a_server_below_a_path_is_reached() -> None:
    with served(lambda handler, _: answer(handler, 200, handler.path)) as url:
        client, _ = transport(f"{url}/k8s/clusters/c-1")
        path = get(client, query={"a": "b c", "empty": "", "no": None, "yes": True})

    assert path == "/k8s/clusters/c-1/x?a=b+c&yes=true"


def test_the_kubeconfigs_proxy_is_asked_for_a_tunnel() -> None:
    asked = []

    def play(handler: Handler, _: int) -> None:
        asked.append((handler.command, handler.path))
        answer(handler, 403, b"no")

    with served(play) as url:
        client, _ = transport("http://cluster.example:6443", proxy=url)
        with pytest.raises(Unreachable):
            get(client)

    assert asked == [("CONNECT", "cluster.example:6443")]


def test_a_stream_can_be_closed_by_another_thread() -> None:
    def play(handler: Handler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"6\r\nfirst\n\r\n")
        handler.wfile.flush()
        handler.rfile.read(1)  # until the client is gone

    lines: list[bytes] = []
    first = threading.Event()

    with served(play) as url:
        client, _ = transport(url)
        stream = client.stream("/x", timeout=30)

        def read() -> None:
            for line in stream:
                lines.append(line)
                first.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert first.wait(10)
        stream.close()
        reader.join(10)

        assert not reader.is_alive()
    assert lines == [b"first\n"]


def test_a_stream_that_breaks_is_told() -> None:
    def play(handler: Handler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"6\r\nfirst\n\r\n20\r\nbroken")
        handler.close_connection = True

    with served(play) as url:
        client, _ = transport(url)
        lines = iter(client.stream("/x", timeout=5))
        assert next(lines) == b"first\n"
        with pytest.raises(Unreachable, match="broke"):
            list(lines)
