"""The REST API: uploads, the plan, builds and sessions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, cast

from .cloud import CUSTOM_ID_CHARACTERS, RefusedError, timestamp

if TYPE_CHECKING:
    from email.message import Message

    from .cloud import Cloud, CloudSession, Upload

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]")
_MARKS = ("passed", "failed")


@dataclass(frozen=True)
class Request:
    """One request, read whole."""

    method: str
    path: str
    query: dict[str, list[str]]
    content_type: str
    body: bytes
    #: As the client reached the cloud, for the links in answers.
    base: str


def answer(cloud: Cloud, request: Request) -> Any:
    """The JSON document of an answer. Raises RefusedError."""
    path = request.path.removeprefix("/app-automate")
    if path == "/plan.json":
        return cloud.plan()
    if path == "/upload" and request.method == "POST":
        return _upload(cloud, request)
    if m := re.fullmatch(r"/recent_apps(?:/(.+))?", path):
        found = cloud.recent(m[1]) if m[1] else list(reversed(cloud.uploads))
        return [_app(each) for each in found] or {"message": "No results found"}
    if path == "/builds.json":
        return [{"automation_build": build} for build in _builds(cloud, request.query)]
    if m := re.fullmatch(r"/builds/([^/]+)/sessions\.json", path):
        wanted = request.query.get("status", [""])[0]
        return [
            {"automation_session": _session(s, request.base)}
            for s in cloud.sessions.values()
            if _build(s) == m[1] and wanted in ("", s.status, s.end_status)
        ]
    if m := re.fullmatch(r"/sessions/(\w+)\.json", path):
        return _one_session(cloud, request, m[1])
    raise RefusedError(404, f"not found: {request.path}")


def _upload(cloud: Cloud, request: Request) -> dict[str, Any]:
    parts = _form(request)
    file = parts.get("file")
    if file is None:
        raise RefusedError(422, "Either 'file' or 'url' is required")
    content = file.get_payload(decode=True)
    asked = parts["custom_id"].get_payload(decode=True) if "custom_id" in parts else b""
    if not isinstance(content, bytes) or not isinstance(asked, bytes):
        raise RefusedError(422, "The form can't be read")
    custom_id = _NOT_IN_IDS.sub("", asked.decode())
    if len(custom_id) > CUSTOM_ID_CHARACTERS:
        raise RefusedError(422, "custom_id has more than 100 characters")
    upload = cloud.upload(file.get_filename() or "", content, custom_id)
    named = {"custom_id": custom_id, "shareable_id": f"{cloud.credentials[0]}/{custom_id}"}
    return {"app_url": upload.url, **(named if custom_id else {})}


def _form(request: Request) -> dict[str, Message]:
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    form = message_from_bytes(head + request.body)
    if not form.is_multipart():
        return {}
    parts = cast("list[Message]", form.get_payload())
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}


def _one_session(cloud: Cloud, request: Request, session_id: str) -> dict[str, Any]:
    session = cloud.sessions.get(session_id)
    if session is None or cloud.fault.kind == "no-details":
        raise RefusedError(404, "Session not found")
    if request.method == "PUT":
        _change(cloud, session, json.loads(request.body or b"{}"))
    elif request.method == "DELETE":
        cloud.end(session, "deleted")
        del cloud.sessions[session_id]
        return {"status": "ok", "message": f"Session with session id: {session_id} deleted successfully"}
    return {"automation_session": _session(session, request.base)}


def _change(cloud: Cloud, session: CloudSession, change: dict[str, Any]) -> None:
    if "status" in change:
        if change["status"] not in _MARKS:
            raise RefusedError(400, f"Invalid status: {change['status']}")
        session.verdict, session.reason = change["status"], str(change.get("reason") or "")
        cloud.journal.note(
            "session-marked", session=session.id, status=session.verdict, reason=session.reason
        )
    if change.get("name"):
        session.name = str(change["name"])
        cloud.journal.note("session-named", session=session.id, name=session.name)


def _builds(cloud: Cloud, query: dict[str, list[str]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for session in cloud.sessions.values():
        known = found.setdefault(
            _build(session), {"name": _build(session), "hashed_id": _build(session), "status": "done"}
        )
        if session.ended is None:
            known["status"] = "running"
    wanted = query.get("status", [""])[0]
    return [build for build in reversed(found.values()) if wanted in ("", build["status"])]


def _build(session: CloudSession) -> str:
    return str(session.options.get("buildName") or "Untitled Build")


def _app(upload: Upload) -> dict[str, Any]:
    return {
        "app_name": upload.name,
        "app_version": upload.version,
        "app_url": upload.url,
        "app_id": upload.url.removeprefix("bs://"),
        "uploaded_at": timestamp(upload.uploaded_at),
        **({"custom_id": upload.custom_id} if upload.custom_id else {}),
    }


def _session(session: CloudSession, base: str) -> dict[str, Any]:
    page = f"{base}/builds/{_build(session)}/sessions/{session.id}"
    return {
        "name": session.name,
        "os": "android",
        "os_version": session.options.get("osVersion"),
        "device": session.options.get("deviceName"),
        "status": session.status,
        "browserstack_status": session.end_status,
        "hashed_id": session.id,
        "reason": session.reason or session.ended_by,
        "build_name": _build(session),
        "app_details": {"app_url": session.upload.url, "app_name": session.upload.name},
        "browser_url": page,
        "public_url": f"{page}?auth_token=0123456789abcdef",
        "video_url": f"{base}/sessions/{session.id}/video?token=abcdef&source=rest_api",
    }
