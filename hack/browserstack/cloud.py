"""What the cloud holds: uploaded apps, sessions with their phones, and the plan that limits them."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hack.phone import apk
from hack.phone.device import Device
from hack.phone.journal import Journal
from hack.phone.manifest import ManifestError

from .faults import Fault

CUSTOM_ID_CHARACTERS = 100
DEFAULT_IDLE_SECONDS = 90.0


class RefusedError(Exception):
    """The cloud says no: an HTTP status, and a text that begins with a code in brackets where it has one."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Upload:
    """One uploaded package."""

    url: str
    name: str
    version: str
    custom_id: str
    uploaded_at: float
    content: bytes


class _Phone(Journal):
    """Of what a phone sees, the cloud's journal keeps what tests did to the app; the rest is told by sessions."""

    def __init__(self, cloud: Journal) -> None:
        super().__init__(None)
        self._cloud = cloud

    def note(self, event: str, **fields: Any) -> None:
        if event in ("tap", "type", "crash"):
            self._cloud.note(event, **fields)


@dataclass
class CloudSession:
    """One WebDriver session on a phone of its own."""

    id: str
    phone: Device
    upload: Upload
    options: dict[str, Any]
    idle_seconds: float
    began: float = field(default_factory=time.time)
    heard: float = field(default_factory=time.monotonic)
    commands: int = 0
    ended: float | None = None
    ended_by: str = ""
    name: str = ""
    verdict: str = ""
    reason: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def end_status(self) -> str:
        """How it is or ended, whatever it was marked with."""
        if self.ended is None:
            return "running"
        return {"BROWSERSTACK_IDLE_TIMEOUT": "timeout", "CLIENT_STOPPED_SESSION": "done"}.get(
            self.ended_by, "error"
        )

    @property
    def status(self) -> str:
        """As the API says it first: what it was marked with, or how it is or ended."""
        return self.verdict or self.end_status


class Cloud:
    """Safe to use from several threads."""

    def __init__(
        self,
        journal: Journal,
        *,
        username: str = "user",
        access_key: str = "key",
        parallel: int = 2,
        queue: int = 2,
        install_seconds: float = 0.0,
    ) -> None:
        self.journal = journal
        self.credentials = (username, access_key)
        self.parallel, self.queue = parallel, queue
        self.install_seconds = install_seconds
        #: Sessions of other people of the same plan.
        self.others, self.others_queued = 0, 0
        self.sessions: dict[str, CloudSession] = {}
        self.uploads: list[Upload] = []
        self.queued = 0
        self._fault = Fault()
        self._fault_since = 0.0
        self._changed = threading.Condition()

    # ---- faults

    @property
    def fault(self) -> Fault:
        """What goes wrong now."""
        heals_at = self._fault_since + self._fault.number
        if self._fault.kind == "rate-limit" and self._fault.number and time.monotonic() > heals_at:
            self.set_fault(Fault())
        return self._fault

    def set_fault(self, fault: Fault) -> None:
        """Makes something go wrong from now on."""
        with self._changed:
            self._fault, self._fault_since = fault, time.monotonic()
            self._changed.notify_all()
        self.journal.note("fault", kind=fault.kind, detail=fault.text)

    def set_others(self, running: int, queued: int) -> None:
        """How many sessions other people have, and how many wait."""
        with self._changed:
            self.others, self.others_queued = running, queued
            self._changed.notify_all()
        self.journal.note("others", running=running, queued=queued)

    def wait_while(self, *kinds: str) -> None:
        """Returns when none of these faults holds (any more)."""
        with self._changed:
            self._changed.wait_for(lambda: self._fault.kind not in kinds)

    # ---- apps

    def upload(self, name: str, content: bytes, custom_id: str) -> Upload:
        """Takes a package. Raises RefusedError."""
        if self.fault.kind == "upload":
            raise RefusedError(422, self.fault.text or "Something went wrong. Please try again.")
        try:
            found = apk.read(content)
        except ManifestError as e:
            self.journal.note("upload-refused", name=name, why=str(e))
            raise RefusedError(422, "[BROWSERSTACK_INVALID_APP] Malformed archive: the file is no app") from e
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        upload = Upload(f"bs://{digest}", name, found.manifest.version_name, custom_id, time.time(), content)
        self.uploads.append(upload)
        self.journal.note("upload", url=upload.url, name=name, version=upload.version, custom_id=custom_id)
        return upload

    def recent(self, custom_id: str) -> list[Upload]:
        """Uploads with that custom id, the newest first."""
        return [each for each in reversed(self.uploads) if each.custom_id == custom_id]

    def find_app(self, named: str) -> Upload:
        """The package that a session asks for, by URL or custom id. Raises RefusedError."""
        for each in reversed(self.uploads):
            if named in (each.url, each.custom_id):
                return each
        raise RefusedError(
            400,
            "[BROWSERSTACK_INVALID_APP_CAP] The app_url/ custom_id/ shareable_id specified in the 'app' "
            "capability in your test script is invalid.",
        )

    # ---- sessions

    def running(self) -> int:
        """Sessions that are open, other people's too."""
        return self.others + sum(s.ended is None for s in self.sessions.values())

    def plan(self) -> dict[str, Any]:
        """What plan.json says."""
        return {
            "automate_plan": "App Automate",
            "parallel_sessions_running": self.running(),
            "team_parallel_sessions_max_allowed": self.parallel,
            "parallel_sessions_max_allowed": self.parallel,
            "queued_sessions": self.queued + self.others_queued,
            "queued_sessions_max_allowed": self.queue,
        }

    def open(self, app: str, options: dict[str, Any]) -> CloudSession:
        """Opens a session, after waiting for a free phone. Raises RefusedError."""
        self._refuse_session()
        upload = self.find_app(app)
        idle = float(options.get("idleTimeout") or DEFAULT_IDLE_SECONDS)
        with self._changed:
            self._wait_for_turn()
            session = CloudSession(uuid.uuid4().hex, Device(_Phone(self.journal)), upload, options, idle)
            session.name = str(options.get("sessionName") or "")
            self.sessions[session.id] = session
        self.journal.note(
            "session-open",
            session=session.id,
            build=options.get("buildName"),
            name=session.name,
            app=upload.url,
        )
        time.sleep(self.install_seconds)
        answer = session.phone.install(upload.content, client=session.id)
        if answer.startswith("Failure"):
            self.end(session, "BROWSERSTACK_APP_INSTALL_FAILED")
            raise RefusedError(500, f"[BROWSERSTACK_APP_INSTALL_FAILED] {answer.strip()}")
        package = apk.read(upload.content).manifest
        session.phone.start(package.component, client=session.id, stop_first=True)
        session.phone.open_session(client=session.id).id = session.id
        return session

    def end(self, session: CloudSession, why: str) -> None:
        """Ends a session; `why` is for the journal and its details."""
        with self._changed:
            if session.ended is not None:
                return
            session.ended, session.ended_by = time.time(), why
            self._changed.notify_all()
        self.journal.note(
            "session-end",
            session=session.id,
            reason=why,
            commands=session.commands,
            seconds=round(session.ended - session.began, 3),
        )

    def end_idle(self) -> None:
        """Ends what has not heard a command for too long."""
        for session in list(self.sessions.values()):
            if time.monotonic() - session.heard > session.idle_seconds:
                self.end(session, "BROWSERSTACK_IDLE_TIMEOUT")

    def state(self) -> dict[str, Any]:
        """A summary: what was uploaded, opened, and is still open."""
        return {
            "fault": self.fault.kind,
            "uploads": len(self.uploads),
            "sessions": len(self.sessions),
            "open": [s.id for s in self.sessions.values() if s.ended is None],
            "ended": {s.id: s.ended_by for s in self.sessions.values() if s.ended is not None},
            "statuses": {s.id: s.status for s in self.sessions.values()},
            "plan": self.plan(),
        }

    def _refuse_session(self) -> None:
        fault = self.fault
        if fault.kind == "session":
            code = fault.text or "BROWSERSTACK_DEVICE_OFFLINE"
            raise RefusedError(500, f"[{code}] The session could not be started on the device.")
        if fault.kind == "queue-full":
            if fault.number:
                self.set_fault(Fault("queue-full", "", fault.number - 1) if fault.number > 1 else Fault())
            raise self._full()

    def _wait_for_turn(self) -> None:
        if self.running() >= self.parallel:
            if self.queued + self.others_queued >= self.queue:
                raise self._full()
            self.queued += 1
            try:
                self._changed.wait_for(lambda: self.running() < self.parallel)
            finally:
                self.queued -= 1

    def _full(self) -> RefusedError:
        self.journal.note("session-refused", why="queue")
        return RefusedError(
            500,
            "[BROWSERSTACK_QUEUE_SIZE_EXCEEDED] All parallel tests are currently in use, including the queued tests. "
            "Please wait to finish or upgrade your plan to add more sessions.",
        )


def timestamp(seconds: float) -> str:
    """As the API writes a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
