"""The runner's requests to BrowserStack: capacity, uploads and sessions, against the simulated one."""

from __future__ import annotations

import http.server
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hack.browserstack import faults
from qgjob.api.testtarget import TestTargetSpec
from testrunner.browserstack.apps import Apps
from testrunner.browserstack.capacity import Capacity, Plan
from testrunner.browserstack.sessions import NOTES, Notes, Sessions, close_left_open
from testrunner.drivers.base import InfrastructureError, Stopped, SubmitterError
from testrunner.stop import StopToken
from tests.unit.browserstack_support import ENVIRONMENT, Running, package, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testrunner.browserstack.api import Api


@pytest.fixture
def there() -> Iterator[Running]:
    with running(parallel=2, queue=2) as found:
        yield found


def get(there: Running, path: str = "plan.json", patience: float = 5.0) -> Any:
    url = f"{there.url}/app-automate/{path}"
    return there.api().request("GET", url, stop=StopToken(), patience=patience)


# ---- requests


def test_a_runner_without_credentials_says_which_secret_should_have_them(there: Running) -> None:
    with pytest.raises(InfrastructureError, match="the Secret account needs the keys username and accessKey"):
        there.api({"BROWSERSTACK_USERNAME": "user"})


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
def test_refused_credentials_are_not_tried_again(there: Running, fault: str) -> None:
    there.cloud.set_fault(faults.parse(fault))

    with pytest.raises(
        InfrastructureError, match=r"check the Secret account \(keys username and acc"
    ) as caught:
        get(there)

    assert caught.value.reason == "CredentialsRefused"
    assert there.lines == []


def test_retry_after_is_honoured(there: Running) -> None:
    there.cloud.set_fault(faults.parse("rate-limit:1"))

    assert get(there)["parallel_sessions_max_allowed"] == 2

    assert there.lines == [line for line in there.lines if line.endswith("trying again in 1 s")]
    assert there.count("rate-limited") == len(there.lines)


def test_too_many_requests_for_too_long_are_an_infrastructure_failure(there: Running) -> None:
    there.cloud.set_fault(faults.parse("rate-limit"))

    with pytest.raises(InfrastructureError, match="lower the target's parallelism") as caught:
        get(there, patience=0.1)

    assert caught.value.reason == "RateLimited"


def test_another_host_that_is_redirected_to_does_not_get_the_credentials(there: Running) -> None:
    heard: list[str | None] = []

    class Login(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Gateway(Login):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{login.server_port}/")
            self.end_headers()

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as login,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as gateway,
    ):
        for each in (login, gateway):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        there.api().request("GET", f"http://127.0.0.1:{gateway.server_port}/", stop=StopToken())
        for each in (login, gateway):
            each.shutdown()

    assert heard == [None]


@pytest.mark.parametrize("fault", ["down", "api-hang"])
def test_a_cloud_that_does_not_answer_is_unreachable(there: Running, fault: str) -> None:
    there.cloud.set_fault(faults.parse(fault))

    with pytest.raises(InfrastructureError, match=r"check provider\.browserstack's URLs") as caught:
        there.api().request(
            "GET", f"{there.url}/app-automate/plan.json", stop=StopToken(), timeout=0.3, patience=0.1
        )

    assert caught.value.reason == "CloudUnreachable"
    there.cloud.set_fault(faults.parse("none"))


# ---- capacity


@pytest.mark.parametrize(
    ("running", "queued", "free"), [(0, 0, True), (1, 0, True), (2, 0, False), (1, 1, False), (3, 0, False)]
)
def test_sessions_that_run_and_that_wait_count(running: int, queued: int, free: bool) -> None:
    plan = Plan.parse(
        {
            "parallel_sessions_running": running,
            "parallel_sessions_max_allowed": 5,
            "team_parallel_sessions_max_allowed": 2,
            "queued_sessions": queued,
        }
    )

    assert plan is not None
    assert plan.is_free is free


@pytest.mark.parametrize("answer", [None, [], {}, {"parallel_sessions_running": 1}, {"error": "no"}])
def test_an_answer_without_numbers_is_no_plan(answer: Any) -> None:
    assert Plan.parse(answer) is None


def test_it_waits_for_others_to_end_their_sessions_and_says_so(
    there: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capacity, "poll_seconds", 0.05)
    there.cloud.set_others(2, 0)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        there.cloud.set_others(1, 0)

    Capacity(there.api(), there.lines.append).wait(StopToken(), tell)

    assert told == ["waits for a free session at BrowserStack: 2 of 2 sessions are taken, 0 more wait", ""]
    assert "waits for a free session" in there.lines[0]
    assert "a session is free" in there.lines[1]


def test_waiting_ends_when_it_is_asked_to(there: Running) -> None:
    there.cloud.set_others(2, 1)
    stop = StopToken()

    with pytest.raises(Stopped, match="cancelled"):
        Capacity(there.api(), there.lines.append).wait(stop, lambda _: stop.request("cancelled"))


def test_a_plan_without_sessions_is_not_waited_for() -> None:
    with running(parallel=0) as there, pytest.raises(InfrastructureError, match="allows no session"):
        Capacity(there.api(), there.lines.append).wait(StopToken(), lambda _: None)


def test_after_a_refusal_it_pauses_whatever_the_plan_says(
    there: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capacity, "refused_seconds", 0.05)
    capacity = Capacity(there.api(), there.lines.append)
    told: list[str] = []

    capacity.refused()
    capacity.refused()
    capacity.wait(StopToken(), told.append)
    capacity.granted()
    capacity.wait(StopToken(), told.append)

    assert told == ["BrowserStack had no room for a session; trying again in 0.1 s", "", ""]


# ---- the app


def apps(there: Running) -> Apps:
    return Apps(there.api(), there.lines.append)


def test_the_same_package_is_uploaded_once(there: Running, tmp_path: Path) -> None:
    path = package(tmp_path)

    urls = {apps(there).uploaded(path, StopToken()) for _ in range(3)}
    other = apps(there).uploaded(package(tmp_path, "1.5.0"), StopToken())

    assert len(urls) == 1
    assert other not in urls
    assert there.count("upload") == 2
    assert there.cloud.uploads[0].content == path.read_bytes()


def test_an_upload_that_another_batch_is_about_to_make_is_waited_for(
    there: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Apps, "sibling_poll_seconds", 0.05)
    path = package(tmp_path)
    looks: list[str] = []

    def is_first() -> bool:
        looks.append(apps(there).uploaded(path, StopToken()))
        return False

    url = apps(there).uploaded(path, StopToken(), is_first)

    assert ([url], there.count("upload")) == (looks, 1)


def test_another_batch_that_does_not_upload_is_not_waited_for_for_ever(
    there: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Apps, "sibling_poll_seconds", 0.05)
    monkeypatch.setattr(Apps, "sibling_seconds", 0.2)

    assert apps(there).uploaded(package(tmp_path), StopToken(), lambda: False)

    assert there.count("upload") == 1


def test_what_the_team_has_uploaded_is_used_as_it_is(there: Running, tmp_path: Path) -> None:
    content = package(tmp_path).read_bytes()
    url = there.cloud.upload("shop.apk", content, "shop-1.4.0").url

    assert apps(there).named("shop-{appVersionId}", "1.4.0", StopToken()) == url
    assert there.count("upload") == 1


def test_a_version_that_nobody_has_uploaded_is_the_submitters_mistake(there: Running) -> None:
    with pytest.raises(SubmitterError, match=r"has uploaded nothing as custom_id shop-9\.9\.9") as caught:
        apps(there).named("shop-{appVersionId}", "9.9.9", StopToken())

    assert caught.value.reason == "AppVersionNotFound"


def test_a_package_that_is_refused_for_what_it_is_can_never_run(there: Running, tmp_path: Path) -> None:
    there.cloud.set_fault(faults.parse("upload:Malformed archive"))

    with pytest.raises(SubmitterError, match="Malformed archive") as caught:
        apps(there).uploaded(package(tmp_path), StopToken())

    assert caught.value.reason == "AppInvalid"


def test_an_upload_that_is_refused_for_another_reason_is_infrastructure(
    there: Running, tmp_path: Path
) -> None:
    there.cloud.set_fault(faults.parse("upload:You have reached the limit of your plan"))

    with pytest.raises(InfrastructureError, match="limit of your plan") as caught:
        apps(there).uploaded(package(tmp_path), StopToken())

    assert caught.value.reason == "UploadRefused"


def test_a_login_page_is_not_uploaded(there: Running, tmp_path: Path) -> None:
    page = tmp_path / "app.apk"
    page.write_text("<html>please log in</html>")

    with pytest.raises(InfrastructureError, match="login or an error page"):
        apps(there).uploaded(page, StopToken())

    assert there.count("upload") == 0


# ---- sessions


def test_notes_say_what_is_open_since_when(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "a" / "sessions.jsonl")
    notes.begin("tb-1")
    notes.write(event="asked")
    notes.write(event="opened", session="session-1", test="logs in")
    before = len(notes)
    notes.write(event="asked")
    notes.write(event="opened", session="session-2", test="logs out")
    notes.write(event="ended", session="session-1")
    notes.write(event="asked")
    with notes.path.open("a") as file:
        file.write('0123456789abcdef\n../../evil\n{"event":"opened","session":"a/b?c=d#e"}\n{"event":"op')

    everything, latest = notes.read(), notes.read(before)

    assert everything.build == latest.build == "tb-1"
    assert everything.left_open == ["session-2", "0123456789abcdef"]
    assert everything.unanswered == 0
    assert latest.opened == {"session-2": "logs out", "0123456789abcdef": ""}


def open_session(there: Running, build: str = "tb-1") -> str:
    url = there.cloud.uploads[0].url
    return there.cloud.open(url, {"buildName": build}).id


@pytest.fixture
def with_app(there: Running, tmp_path: Path) -> Running:
    there.cloud.upload("shop.apk", package(tmp_path).read_bytes(), "shop")
    return there


def test_what_is_left_open_is_closed_and_marked_with_the_reason(with_app: Running, tmp_path: Path) -> None:
    notes = Notes(tmp_path / NOTES)
    notes.begin("tb-1")
    ended, left = open_session(with_app), open_session(with_app)
    for session in (ended, left):
        notes.write(event="opened", session=session)
    notes.write(event="ended", session=ended)

    failed = Sessions(with_app.api(), with_app.lines.append, notes).close_left_open(
        notes.read(), "cancelled by spec.cancel"
    )

    assert failed == []
    assert with_app.cloud.sessions[left].ended_by == "CLIENT_STOPPED_SESSION"
    assert (with_app.cloud.sessions[left].status, with_app.cloud.sessions[left].reason) == (
        "failed",
        "cancelled by spec.cancel",
    )
    assert with_app.cloud.sessions[ended].ended is None, "its end was noted: nobody asks again"
    assert notes.read().left_open == []


def test_a_session_that_nobody_heard_of_is_found_by_its_build(with_app: Running, tmp_path: Path) -> None:
    notes = Notes(tmp_path / NOTES)
    notes.begin("tb-1")
    notes.write(event="asked")
    ours, others = open_session(with_app, "tb-1"), open_session(with_app, "tb-2")

    Sessions(with_app.api(), with_app.lines.append, notes).close_left_open(notes.read(), "the runner ended")

    assert with_app.cloud.sessions[ours].ended is not None
    assert with_app.cloud.sessions[others].ended is None


def target(there: Running) -> TestTargetSpec:
    provider = there.provider().to_wire()
    return TestTargetSpec.model_validate(
        {
            "provider": {"browserstack": provider},
            "app": {"customId": "shop-{appVersionId}"},
            "driver": {"name": "appwright"},
        }
    )


@pytest.mark.parametrize("below", [".", "tb-1-x7f"])
def test_another_process_of_the_pod_closes_what_a_dead_runner_left(
    with_app: Running, tmp_path: Path, below: str
) -> None:
    notes = Notes(tmp_path / below / NOTES)
    notes.begin("tb-1")
    session = open_session(with_app)
    notes.write(event="opened", session=session)

    assert close_left_open(tmp_path, ENVIRONMENT, target(with_app), with_app.lines.append) == []

    assert with_app.cloud.state()["open"] == []
    assert f"closed BrowserStack's session {session}" in with_app.lines[0]


def test_a_link_among_the_notes_is_not_followed(with_app: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / NOTES
    Notes(secret).begin("tb-1")
    Notes(secret).write(event="opened", session=open_session(with_app))
    work = tmp_path / "work" / "tb-1-x7f"
    work.mkdir(parents=True)
    (work / "browserstack").symlink_to(secret.parent)

    assert close_left_open(work.parent, ENVIRONMENT, target(with_app), with_app.lines.append) == []

    assert len(with_app.cloud.state()["open"]) == 1
    assert with_app.lines == []


def test_closing_never_raises(with_app: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testrunner.browserstack.sessions.CLOSE_SECONDS", 0.2)
    notes = Notes(tmp_path / NOTES)
    notes.begin("tb-1")
    session = open_session(with_app)
    notes.write(event="opened", session=session)
    with_app.cloud.set_fault(faults.parse("hang"))

    left = close_left_open(tmp_path, ENVIRONMENT, target(with_app), with_app.lines.append)
    without = close_left_open(tmp_path, {}, target(with_app), with_app.lines.append)

    assert (left, without) == ([session], [])
    assert "BrowserStack ends it after 90 s without a command" in with_app.lines[0]
    with_app.cloud.set_fault(faults.parse("none"))


def test_a_session_is_described_by_its_links(with_app: Running, tmp_path: Path) -> None:
    session = open_session(with_app)

    details = Sessions(with_app.api(), with_app.lines.append).details(session)

    assert details.url.startswith(f"{with_app.url}/builds/tb-1/sessions/{session}?auth_token=")
    assert f"/sessions/{session}/video" in details.video


def test_links_that_can_not_be_had_cost_nothing(with_app: Running, tmp_path: Path) -> None:
    with_app.cloud.set_fault(faults.parse("no-details"))
    sessions = Sessions(with_app.api(), with_app.lines.append)

    details = sessions.details(open_session(with_app))

    assert (details.url, details.video, details.timed_out) == ("", "", False)
    assert "no links" in with_app.lines[0]


@pytest.mark.parametrize(
    ("fault", "problem"), [("none", ""), ("unauthorized", ""), ("hub-503", "HTTP 503 Service Unavailable")]
)
def test_a_hub_that_is_down_is_a_problem_and_one_that_refuses_is_none(
    with_app: Running, fault: str, problem: str
) -> None:
    sessions = Sessions(with_app.api(), with_app.lines.append)
    with_app.cloud.set_fault(faults.parse(fault))

    said = sessions.hub_problem()

    assert said.endswith(problem)
    assert bool(said) == bool(problem)


def test_an_upload_ends_when_the_runner_is_asked_to_stop(there: Running, tmp_path: Path) -> None:
    stop = StopToken()
    stop.request("terminated")

    with pytest.raises(Stopped):
        apps(there).uploaded(package(tmp_path), stop)


def test_the_credentials_of_a_secret_may_end_with_a_newline(there: Running) -> None:
    api: Api = there.api({"BROWSERSTACK_USERNAME": "user\n", "BROWSERSTACK_ACCESS_KEY": "key\n"})

    assert api.request("GET", f"{there.url}/app-automate/plan.json", stop=StopToken())
    assert json.dumps(api.credentials) == json.dumps(ENVIRONMENT)


def test_notes_that_a_test_has_spoiled_keep_no_session_from_being_closed(tmp_path: Path) -> None:
    notes = Notes(tmp_path / NOTES)
    notes.begin("tb-1")
    with notes.path.open("a") as file:
        file.write("[" * 100_000 + "\n0123456789abcdef\n")

    assert notes.read().left_open == ["0123456789abcdef"]


def test_a_pipe_in_the_place_of_the_notes_is_not_waited_for(tmp_path: Path) -> None:
    notes = Notes(tmp_path / NOTES)
    notes.path.parent.mkdir(parents=True)
    os.mkfifo(notes.path)

    assert notes.read().left_open == []
    with pytest.raises(OSError, match="No such device"):
        notes.write(event="asked")
