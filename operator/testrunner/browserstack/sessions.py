"""The batch's sessions: noted as soon as they are there, and closed when nobody else does."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..artifacts.tree import Tree
from ..drivers.base import InfrastructureError, Stopped
from ..stop import StopToken
from .api import Api, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from qgjob.api.testtarget import TestTargetSpec

#: Below the batch's scratch folder. Written by the tests' process and by the runner, read after a crash of both.
NOTES: Final = "browserstack/sessions.jsonl"
#: Closing happens where seconds count: a pod is about to be killed.
CLOSE_SECONDS: Final = 5.0
DETAILS_SECONDS: Final = 5.0
_IDLE: Final = "BROWSERSTACK_IDLE_TIMEOUT"
_LONGEST_URL: Final = 1024
_LONGEST_REASON: Final = 250
_LONGEST_NOTES: Final = 4 * 1024 * 1024
# Tests write the notes, and an id becomes part of a URL.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,128}")


@dataclass(slots=True)
class Noted:
    """What the notes come to. A session that was `asked` for and neither opened nor refused may exist unseen."""

    build: str = ""
    #: Sessions in the order in which they were opened, and the titles of their test cases where known.
    opened: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    unanswered: int = 0

    @property
    def left_open(self) -> list[str]:
        """Those that nobody was seen to end."""
        return [session for session in self.opened if session not in self.ended]


class Notes:
    """A file of JSON lines; a line that is no JSON is taken for a session's id, so that any program can write it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, build: str) -> None:
        """A batch begins; its sessions' build has that name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.write(event="build", build=build)

    def write(self, **note: Any) -> None:
        """Add a line."""
        # Without O_NONBLOCK, a pipe that a test has put in its place would be waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, 0o644), "a") as file:
            file.write(json.dumps(note) + "\n")

    def __len__(self) -> int:
        """Lines so far, for `read(since=…)`."""
        return len(self._lines())

    def read(self, since: int = 0) -> Noted:
        """All that was noted, or what was since so many lines."""
        return _noted(self._lines(), since)

    def _lines(self) -> list[str]:
        try:
            with Tree(self.path.parent).open(self.path.name) as file:
                return file.read(_LONGEST_NOTES).decode(errors="replace").splitlines()
        except OSError:
            return []


@dataclass(frozen=True, slots=True)
class Details:
    """A session as BrowserStack describes it."""

    url: str = ""
    video: str = ""
    #: BrowserStack ended it because it heard nothing for too long.
    timed_out: bool = False


class Sessions:
    """Asks about sessions, and ends them."""

    def __init__(self, api: Api, log: Callable[[str], None], notes: Notes | None = None) -> None:
        """With `notes`, what is ended here is noted there."""
        self._api = api
        self._log = log
        self._notes = notes

    def details(self, session: str) -> Details:
        """Links and state; empty where they can't be had just now, which costs a link and no result."""
        try:
            answer = self._request("GET", self._rest(f"sessions/{session}"), seconds=DETAILS_SECONDS)
        except (InfrastructureError, RefusedError, Stopped) as error:
            self._log(f"no links to BrowserStack's session {session}: {error}")
            return Details()
        found = answer.get("automation_session") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            return Details()
        return Details(
            url=_url(found.get("public_url")) or _url(found.get("browser_url")),
            video=_url(found.get("video_url")),
            timed_out="timeout" in (found.get("browserstack_status"), found.get("status"))
            or _IDLE in str(found.get("reason")),
        )

    def close_left_open(self, noted: Noted, why: str) -> list[str]:
        """End what is noted and was not seen to end; returns what could not be. Never raises for one session."""
        names = noted.left_open
        if noted.unanswered:
            names += [name for name in self._running_in(noted.build) if name not in noted.opened]
        return [name for name in names if not self._close(name, why)]

    def hub_problem(self) -> str:
        """What is wrong with the hub; empty where it answers, whatever it says."""
        return self._api.silence(f"{self._hub}/status", CLOSE_SECONDS)

    def _close(self, session: str, why: str) -> bool:
        """Returns whether it is over."""
        try:
            self._request("DELETE", f"{self._hub}/session/{session}", seconds=CLOSE_SECONDS)
        except RefusedError as error:
            if error.status != 404:
                self._log(f"BrowserStack does not end session {session}: {error}")
                return False
            self._note_end(session)
            return True
        except (InfrastructureError, Stopped) as error:
            seconds = self._api.provider.idle_seconds
            self._log(
                f"session {session} could not be closed ({error}): "
                f"BrowserStack ends it after {seconds} s without a command"
            )
            return False
        self._note_end(session)
        self._log(f"closed BrowserStack's session {session}: {why}")
        self._mark(session, why)
        return True

    def _note_end(self, session: str) -> None:
        if self._notes is not None:
            with suppress(OSError):
                self._notes.write(event="ended", session=session)

    def _mark(self, session: str, why: str) -> None:
        content = {"status": "failed", "reason": why[:_LONGEST_REASON]}
        try:
            self._request("PUT", self._rest(f"sessions/{session}"), content=content, seconds=DETAILS_SECONDS)
        except (InfrastructureError, RefusedError, Stopped) as error:
            self._log(f"session {session} could not be marked: {error}")

    def _running_in(self, build: str) -> Iterator[str]:
        """Sessions of the batch's build that run now: of one that was asked for nobody may have heard."""
        if not build:
            return
        try:
            builds = self._request("GET", self._rest("builds") + "?status=running&limit=100")
            for hashed in _field(builds, "automation_build", lambda each: each.get("name") == build):
                url = self._rest(f"builds/{hashed}/sessions") + "?status=running&limit=100"
                yield from _field(self._request("GET", url), "automation_session", lambda _: True)
        except (InfrastructureError, RefusedError, Stopped) as error:
            self._log(f"BrowserStack does not name the sessions of build {build}: {error}")

    def _request(self, method: str, url: str, *, content: Any = None, seconds: float = CLOSE_SECONDS) -> Any:
        # No token: closing is done when everything else was told to stop.
        return self._api.request(
            method, url, stop=StopToken(), content=content, timeout=seconds, patience=0.0
        )

    def _rest(self, what: str) -> str:
        return f"{self._api.provider.api_url}/app-automate/{what}.json"

    @property
    def _hub(self) -> str:
        return f"{self._api.provider.hub_url}/wd/hub"


def left_open(workdir: Path) -> list[Noted]:
    """What runners have noted in a folder, or in those right below it, where a session may still be open.

    For whoever outlives a runner in its pod. Tests write there too, so no link in it is followed.
    """
    tree, found = Tree(workdir), []
    try:
        places = ["", *(f"{each.name}/" for each in sorted(workdir.iterdir()))]
    except OSError:
        return []
    for place in places:
        try:
            with tree.open(f"{place}{NOTES}") as file:
                noted = _noted(file.read(_LONGEST_NOTES).decode(errors="replace").splitlines())
        except OSError:
            continue
        if noted.left_open or noted.unanswered:
            found.append(noted)
    return found


def close_left_open(
    workdir: Path,
    environment: Mapping[str, str],
    target: TestTargetSpec,
    log: Callable[[str], None],
) -> list[str]:
    """End the sessions that a runner has left open, by its notes (see left_open): another process of its pod does it.

    Returns the sessions that could not be ended; does nothing where the target uses no BrowserStack, or nothing was
    noted. Never raises.
    """
    noted = left_open(workdir)
    if target.provider.browserstack is None or not noted:
        return []
    try:
        sessions = Sessions(Api(target.provider.browserstack, environment, log), log)
    except InfrastructureError as error:
        log(f"BrowserStack's sessions were not looked at: {error}")
        return []
    why = "the runner ended before its test did"
    return [session for each in noted for session in sessions.close_left_open(each, why)]


def _noted(lines: list[str], since: int = 0) -> Noted:
    found = Noted()
    for number, line in enumerate(lines):
        note = _parse(line)
        if note.get("event") == "build":
            found.build = str(note.get("build") or "")
        elif number >= since:
            _add(found, note)
    return found


def _parse(line: str) -> dict[str, Any]:
    line = line.strip()
    try:
        note = json.loads(line)
    except (ValueError, RecursionError):
        note = None
    if isinstance(note, dict):
        return note
    # A line that was cut off in the middle is none, an id is.
    return {"event": "opened", "session": line}


def _add(found: Noted, note: dict[str, Any]) -> None:
    session = str(note.get("session") or "")
    event = note.get("event")
    if event == "asked":
        found.unanswered += 1
    elif event == "refused":
        found.unanswered = max(0, found.unanswered - 1)
    elif event == "opened" and _ID.fullmatch(session):
        found.opened[session] = str(note.get("test") or "")
        found.unanswered = max(0, found.unanswered - 1)
    elif event == "ended":
        found.ended.add(session)


def _field(answer: Any, kind: str, wanted: Callable[[dict[str, Any]], bool]) -> list[str]:
    """The hashed ids in BrowserStack's lists: [{"automation_build": {…}}, …]."""
    each = [item.get(kind) for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []
    return [
        str(found["hashed_id"])
        for found in each
        if isinstance(found, dict) and found.get("hashed_id") and wanted(found)
    ]


def _url(text: Any) -> str:
    found = str(text or "")
    return found if found.startswith(("https://", "http://")) and len(found) <= _LONGEST_URL else ""
