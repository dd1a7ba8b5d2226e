"""Downloads, from a real server that misbehaves."""

from __future__ import annotations

import http.server
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from qgjob.api.stores import App
from testrunner.app import app_url, fetch_app, package_name
from testrunner.download import (
    TRIES,
    DownloadError,
    FileTooLargeError,
    NoSuchFileError,
    NotAUrlError,
    download,
)
from testrunner.drivers.base import InfrastructureError, Stopped, SubmitterError
from testrunner.secrets import Secrets
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[[http.server.BaseHTTPRequestHandler], None]

CONTENT = bytes(range(250)) * 40


class Server:
    """Gives one answer after the other; the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [whole]
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        scene = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = len(scene.paths)
                scene.paths.append(self.path)
                scene.headers.append(dict(self.headers.items()))
                scene.answers[min(number, len(scene.answers) - 1)](self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


def whole(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT)


def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:100])


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(CONTENT)
    except OSError:
        pass


def status(code: int) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    scene = Server()
    threading.Thread(target=scene.http.serve_forever, daemon=True).start()
    yield scene
    scene.http.shutdown()
    scene.http.server_close()


def get(url: str, to: Path, *, max_bytes: int = 1_000_000, stop: StopToken | None = None) -> int:
    return download(
        url, to, max_bytes=max_bytes, stop=stop or StopToken(), log=lambda _: None, first_pause=0.001
    ).size


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    assert get(server.url + "/app.apk", tmp_path / "app") == len(CONTENT)
    assert (tmp_path / "app").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "trouble", [status(500), status(503), status(429), cut], ids=["500", "503", "429", "cut"]
)
def test_trouble_that_passes_is_waited_out(server: Server, tmp_path: Path, trouble: Answer) -> None:
    server.answers = [trouble, trouble, whole]

    get(server.url, tmp_path / "app")

    assert (tmp_path / "app").read_bytes() == CONTENT
    assert len(server.paths) == 3


@pytest.mark.parametrize(
    ("trouble", "says"), [(status(502), "HTTP 502"), (cut, "cut off after 100 of 10000")]
)
def test_trouble_that_stays_is_told(server: Server, tmp_path: Path, trouble: Answer, says: str) -> None:
    server.answers = [trouble]

    with pytest.raises(DownloadError, match=says):
        get(server.url, tmp_path / "app")

    assert len(server.paths) == TRIES


@pytest.mark.parametrize("code", [404, 410])
def test_what_is_not_there_is_asked_for_once(server: Server, tmp_path: Path, code: int) -> None:
    server.answers = [status(code)]

    with pytest.raises(NoSuchFileError):
        get(server.url, tmp_path / "app")

    assert len(server.paths) == 1


def test_a_refusal_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers = [status(403)]

    with pytest.raises(DownloadError, match="HTTP 403"):
        get(server.url, tmp_path / "app")

    assert len(server.paths) == 1


@pytest.mark.parametrize("answer", [whole, endless], ids=["announced", "endless"])
def test_more_than_is_allowed_is_not_read(server: Server, tmp_path: Path, answer: Answer) -> None:
    server.answers = [answer]

    with pytest.raises(FileTooLargeError):
        get(server.url, tmp_path / "app", max_bytes=9_999)


def test_a_stop_ends_it(server: Server, tmp_path: Path) -> None:
    stop = StopToken()
    stop.request("SIGTERM")

    with pytest.raises(Stopped):
        get(server.url, tmp_path / "app", stop=stop)


def test_a_file_url_is_copied(tmp_path: Path) -> None:
    (tmp_path / "a b.apk").write_bytes(CONTENT)

    get((tmp_path / "a b.apk").as_uri(), tmp_path / "app")

    assert (tmp_path / "app").read_bytes() == CONTENT


def test_a_password_is_not_repeated_in_errors(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as raised:
        get("ftp://user:secret@host/file?signature=alsosecret", tmp_path / "app")

    assert "secret" not in str(raised.value)


def app(server: Server) -> App:
    return App(url=server.url + "/builds/{appVersionId}/shop.apk")


def fetch(server: Server, to: Path) -> None:
    fetch_app(app(server), "1.2+3", to, secrets=Secrets(to.parent), stop=StopToken(), log=lambda _: None)


def test_the_app_version_is_quoted_into_the_url(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "app" / "shop.apk")

    assert server.paths == ["/builds/1.2%2B3/shop.apk"]


def test_an_app_version_that_is_not_there_is_the_submitters_mistake(server: Server, tmp_path: Path) -> None:
    server.answers = [status(404)]

    with pytest.raises(SubmitterError, match=r"app version 1\.2\+3 doesn't exist") as raised:
        fetch(server, tmp_path / "app")

    assert raised.value.reason == "AppVersionNotFound"


def test_a_server_that_refuses_is_infrastructure(server: Server, tmp_path: Path) -> None:
    server.answers = [status(401)]

    with pytest.raises(InfrastructureError, match="HTTP 401"):
        fetch(server, tmp_path / "app")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://builds/shop-1.2.apk?token=x", "shop-1.2.apk"),
        ("https://builds/shop.ipa", "shop.ipa"),
        ("https://builds/download/42", "app.apk"),
        ("https://builds/..%2F..%2Fetc%2Fpasswd.apk", "passwd.apk"),
        ("https://builds/a%20b.apk", "a_b.apk"),
        ("https://builds/", "app.apk"),
        ("https://[::1/shop.apk", "app.apk"),
    ],
)
def test_the_package_keeps_its_name(url: str, name: str) -> None:
    assert package_name(url) == name


def test_the_url_of_an_app_version() -> None:
    assert app_url(App(url="https://b/{appVersionId}.apk"), "v1") == "https://b/v1.apk"


def tagged(tag: str, *, until: int | None = None, content: bytes = CONTENT) -> Answer:
    """A server that knows ranges; it cuts its answers at a byte of the file."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        begin = 0
        if handler.headers.get("If-None-Match") == tag:
            handler.send_response(304)
            handler.end_headers()
            return
        if wanted and handler.headers.get("If-Range") == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            handler.send_response(200)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:until])

    return answer


def test_a_cut_file_goes_on_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    # More cuts than there are tries: each brought something new.
    cuts = [tagged('"a"', until=1000 * number) for number in range(1, TRIES + 3)]
    server.answers = [*cuts, tagged('"a"')]

    assert get(server.url, tmp_path / "app") == len(CONTENT)

    assert (tmp_path / "app").read_bytes() == CONTENT
    assert server.headers[-1]["Range"] == f"bytes={1000 * (TRIES + 2)}-"


def test_a_file_that_was_replaced_meanwhile_starts_over(server: Server, tmp_path: Path) -> None:
    newer = CONTENT[::-1]
    server.answers = [tagged('"a"', until=5000), tagged('"b"', content=newer)]

    get(server.url, tmp_path / "app")

    assert (tmp_path / "app").read_bytes() == newer


def test_a_server_that_sends_another_part_is_not_believed(server: Server, tmp_path: Path) -> None:
    def other_part(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 1-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.send_header("Content-Length", str(len(CONTENT) - 1))
        handler.end_headers()
        handler.wfile.write(CONTENT[1:])

    server.answers = [tagged('"a"', until=5000), other_part, tagged('"a"')]

    get(server.url, tmp_path / "app")

    assert (tmp_path / "app").read_bytes() == CONTENT


def redirect(to: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return answer


@pytest.fixture
def other() -> Iterator[Server]:
    scene = Server()
    threading.Thread(target=scene.http.serve_forever, daemon=True).start()
    yield scene
    scene.http.shutdown()
    scene.http.server_close()


def secret_headers(folder: Path) -> Secrets:
    (folder / "secrets/app-headers").mkdir(parents=True)
    (folder / "secrets/app-headers/X-Api-Key").write_text("s3cret\n")
    return Secrets(folder / "secrets")


def fetch_with_headers(server: Server, folder: Path) -> None:
    fetch_app(
        App(url=server.url + "/{appVersionId}/app.apk", headers_secret="builds"),
        "v1",
        folder / "app",
        secrets=secret_headers(folder),
        stop=StopToken(),
        log=lambda _: None,
    )


def test_the_secrets_keys_are_headers(server: Server, tmp_path: Path) -> None:
    fetch_with_headers(server, tmp_path)

    assert server.headers[0]["X-Api-Key"] == "s3cret"


def test_a_redirect_to_another_host_does_not_take_the_headers_along(
    server: Server, other: Server, tmp_path: Path
) -> None:
    server.answers = [redirect(other.url + "/elsewhere")]

    fetch_with_headers(server, tmp_path)

    assert (tmp_path / "app").read_bytes() == CONTENT
    assert "s3cret" not in str(other.headers)


def test_a_redirect_on_the_same_host_keeps_them(server: Server, tmp_path: Path) -> None:
    server.answers = [redirect("/elsewhere"), whole]

    fetch_with_headers(server, tmp_path)

    assert server.headers[1]["X-Api-Key"] == "s3cret"


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_names_the_secret_to_check(server: Server, tmp_path: Path, code: int) -> None:
    server.answers = [status(code)]

    with pytest.raises(InfrastructureError, match=r"check the Secret builds .*app\.headersSecret"):
        fetch_with_headers(server, tmp_path)


@pytest.mark.parametrize(
    "value", [b"two\nlines", "caf\N{LATIN SMALL LETTER E}\N{EURO SIGN}".encode(), b"\xff\xfe"]
)
def test_a_value_that_is_no_header_names_its_secret_and_not_itself(
    server: Server, tmp_path: Path, value: bytes
) -> None:
    secrets = secret_headers(tmp_path)
    (tmp_path / "secrets/app-headers/X-Api-Key").write_bytes(value)

    with pytest.raises(
        InfrastructureError, match=r"the Secret builds .*: the value of X-Api-Key is no header"
    ) as raised:
        fetch_app(
            App(url=server.url + "/{appVersionId}/app.apk", headers_secret="builds"),
            "v1",
            tmp_path / "app",
            secrets=secrets,
            stop=StopToken(),
            log=lambda _: None,
        )

    assert repr(value)[2:-1] not in str(raised.value)
    assert server.paths == []


@pytest.mark.parametrize(
    ("after", "said"), [("1", "1 s"), ("86400", "60 s"), ("Tue, 24 Nov 2026", "0.001 s")]
)
def test_a_server_that_says_when_to_come_again_is_believed_within_bounds(
    server: Server, tmp_path: Path, after: str, said: str
) -> None:
    def busy(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers = [busy, whole]
    stop, log = StopToken(), list[str]()

    def heard(line: str) -> None:
        log.append(line)
        if said == "60 s":
            stop.request("nobody waits that long here")

    with suppress(Stopped):
        download(server.url, tmp_path / "app", max_bytes=1_000_000, stop=stop, log=heard, first_pause=0.001)

    assert log[0].endswith(f"HTTP 429 Too Many Requests; trying again in {said}")


@pytest.mark.parametrize(
    "url", ["http://[::1/{}", "http://builds:x/{}", "http://builds:99999/{}", "http://builds/a b/{}"]
)
def test_a_url_that_is_none_is_told_at_once_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotAUrlError, match="its URL has") as raised:
        download(url.format("s3cret"), tmp_path / "to", max_bytes=10, stop=StopToken(), log=lambda _: None)

    assert "s3cret" not in str(raised.value)


def test_a_redirect_to_a_host_that_can_be_none_is_told(server: Server, tmp_path: Path) -> None:
    def elsewhere(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://{'x' * 70}/")
        handler.end_headers()

    server.answers = [elsewhere]

    with pytest.raises(DownloadError, match="label"):
        download(server.url, tmp_path / "to", max_bytes=10, stop=StopToken(), log=lambda _: None)
