"""The simulated App Automate itself: plan, uploads, sessions and faults, over HTTP."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any

import pytest

from hack.browserstack import faults
from tests.unit.browserstack_support import Running, running

BASIC = "Basic " + b64encode(b"user:key").decode()


def ask(
    there: Running, method: str, path: str, body: Any = None, *, authorization: str = BASIC
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(there.url + path, data, {"Authorization": authorization}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def upload(there: Running, version: str = "1.4.0", custom_id: str = "shop") -> str:
    from hack.phone import apps

    content = apps.package(version)
    assert content is not None
    return there.cloud.upload(f"{version}.apk", content, custom_id).url


def open_session(there: Running, app: str, **options: Any) -> tuple[int, Any]:
    capabilities = {"appium:app": app, "bstack:options": {"buildName": "build-1", **options}}
    return ask(there, "POST", "/wd/hub/session", {"capabilities": {"alwaysMatch": capabilities}})


def test_a_session_shows_the_app_that_was_uploaded_and_is_known_by_its_build() -> None:
    with running() as there:
        status, opened = open_session(there, upload(there), sessionName="logs in")
        session = opened["value"]["sessionId"]
        found = ask(
            there,
            "POST",
            f"/wd/hub/session/{session}/elements",
            {"using": "-android uiautomator", "value": 'textContains("Version 1.4.0")'},
        )
        listed = ask(there, "GET", "/app-automate/builds/build-1/sessions.json?status=running")

        assert (status, len(found[1]["value"])) == (200, 1)
        assert [each["automation_session"]["hashed_id"] for each in listed[1]] == [session]
        assert ask(there, "GET", "/app-automate/plan.json")[1]["parallel_sessions_running"] == 1

        ask(there, "DELETE", f"/wd/hub/session/{session}")

        assert there.cloud.state()["ended"] == {session: "CLIENT_STOPPED_SESSION"}
        gone = ask(there, "GET", f"/wd/hub/session/{session}/source")
        assert gone[0] == 404
        assert "Session not started or terminated" in gone[1]


def test_an_app_is_found_by_its_custom_id() -> None:
    with running() as there:
        url = upload(there)

        assert ask(there, "GET", "/app-automate/recent_apps/shop")[1][0]["app_url"] == url
        assert ask(there, "GET", "/app-automate/recent_apps/other")[1] == {"message": "No results found"}
        assert open_session(there, "nothing")[0] == 400


def test_a_session_waits_in_the_queue_and_is_refused_where_that_is_full() -> None:
    with running(parallel=1, queue=1) as there:
        app = upload(there)
        first = open_session(there, app)[1]["value"]["sessionId"]
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(open_session(there, app)[0]))
        waiting.start()
        while there.cloud.plan()["queued_sessions"] == 0:
            time.sleep(0.02)

        refused = open_session(there, app)
        ask(there, "DELETE", f"/wd/hub/session/{first}")
        waiting.join(timeout=10)

        assert refused[0] == 500
        assert "BROWSERSTACK_QUEUE_SIZE_EXCEEDED" in refused[1]
        assert answers == [200]


def test_a_session_that_hears_nothing_ends() -> None:
    with running() as there:
        session = open_session(there, upload(there), idleTimeout=1)[1]["value"]["sessionId"]
        while there.cloud.state()["open"]:
            time.sleep(0.05)

        details = ask(there, "GET", f"/app-automate/sessions/{session}.json")[1]["automation_session"]

        assert (details["status"], details["reason"]) == ("timeout", "BROWSERSTACK_IDLE_TIMEOUT")


def test_a_session_is_marked_with_passed_or_failed_only() -> None:
    with running() as there:
        session = open_session(there, upload(there))[1]["value"]["sessionId"]
        path = f"/app-automate/sessions/{session}.json"

        assert ask(there, "PUT", path, {"status": "timedOut"})[0] == 400
        marked = ask(there, "PUT", path, {"status": "failed", "reason": "no"})[1]["automation_session"]
        assert (marked["status"], marked["reason"], marked["browserstack_status"]) == (
            "failed",
            "no",
            "running",
        )


def test_whoever_has_no_credentials_is_refused() -> None:
    with running() as there:
        assert ask(there, "GET", "/app-automate/plan.json", authorization="Basic bm8=")[0] == 401
        assert ask(there, "POST", "/wd/hub/session", {}, authorization="Basic bm8=")[0] == 401


@pytest.mark.parametrize(
    ("fault", "path", "status"),
    [
        ("unauthorized", "/app-automate/plan.json", 401),
        ("forbidden", "/app-automate/plan.json", 403),
        ("rate-limit", "/app-automate/plan.json", 429),
        ("down", "/wd/hub/status", 503),
    ],
)
def test_faults_are_answered_as_the_real_one_does(fault: str, path: str, status: int) -> None:
    with running() as there:
        there.cloud.set_fault(faults.parse(fault))

        assert ask(there, "GET", path)[0] == status

        there.cloud.set_fault(faults.parse("none"))
        assert ask(there, "GET", path)[0] == 200


def test_a_fault_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(faults.UnknownFaultError, match="queue-full"):
        faults.parse("earthquake")
    with pytest.raises(faults.UnknownFaultError):
        faults.parse("die-after")
