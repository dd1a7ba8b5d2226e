"""The WebDriver hub: opens sessions, and hands their commands to their phones."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from hack.phone import uiautomator

from .cloud import RefusedError

if TYPE_CHECKING:
    from .cloud import Cloud, CloudSession

PATH = "/wd/hub"


def answer(cloud: Cloud, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """One command: the HTTP status and the document."""
    path = path.removeprefix(PATH)
    if path == "/status":
        return 200, {"value": {"ready": True, "message": "ready"}}
    if path == "/session" and method == "POST":
        return _open(cloud, body)
    m = re.fullmatch(r"/session/(\w+)(/.*)?", path)
    session = cloud.sessions.get(m[1]) if m else None
    if session is None or session.ended is not None:
        return _error(404, "invalid session id", "Session not started or terminated")
    with session.lock:
        return _command(cloud, session, method, path, body)


def _open(cloud: Cloud, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    asked = body.get("capabilities") or {}
    capabilities = {**(asked.get("alwaysMatch") or {}), **((asked.get("firstMatch") or [{}])[0])}
    options = capabilities.get("bstack:options") or {}
    try:
        session = cloud.open(str(capabilities.get("appium:app") or ""), options)
    except RefusedError as e:
        return _error(e.status, "session not created", e.text)
    got = {
        "platformName": options.get("platformName") or "android",
        "appium:deviceName": options.get("deviceName"),
        "appium:automationName": "uiautomator2",
    }
    return 200, {"value": {"sessionId": session.id, "capabilities": got}}


def _command(
    cloud: Cloud, session: CloudSession, method: str, path: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    session.heard = time.monotonic()
    session.commands += 1
    fault = cloud.fault
    if fault.kind == "die-after" and session.commands > fault.number:
        cloud.end(session, "BROWSERSTACK_DEVICE_OFFLINE")
        return _error(404, "invalid session id", "Session not started or terminated")
    if method == "DELETE" and re.fullmatch(r"/session/\w+", path):
        cloud.end(session, "CLIENT_STOPPED_SESSION")
        return 200, {"value": None}
    return uiautomator.answer(session.phone, method, path, body, client=session.id)


def _error(status: int, error: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"value": {"error": error, "message": message, "stacktrace": ""}}
