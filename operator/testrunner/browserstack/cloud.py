"""A batch's part of BrowserStack, for drivers: its capacity, its app, its sessions, and what its processes are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..drivers.base import InfrastructureError, TestResult
from . import texts
from .api import Api
from .apps import Apps
from .capacity import Capacity
from .sessions import NOTES, Details, Notes, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..drivers.base import BatchContext
    from ..stop import StopToken


@dataclass(frozen=True, slots=True)
class Mark:
    """Where in the notes a test begins."""

    lines: int


class Cloud:
    """Used by the driver's thread."""

    def __init__(self, context: BatchContext, environment: Mapping[str, str]) -> None:
        """`environment` is the runner's. Raises InfrastructureError where it has no credentials."""
        provider = context.target.provider.browserstack
        if provider is None:
            raise InfrastructureError("the TestTarget has no provider.browserstack")
        self.provider = provider
        self._context = context
        self._api = Api(provider, environment, context.log)
        self._capacity = Capacity(self._api, context.log)
        self._notes = Notes(context.workdir / NOTES)
        self._notes.begin(context.batch)
        self._sessions = Sessions(self._api, context.log, self._notes)
        #: BrowserStack's URL of the app (`bs://…`), once it is there.
        self.app = ""

    def await_capacity(self, stop: StopToken, tell: Callable[[str], None]) -> None:
        """Wait for a free session; see Capacity.wait."""
        self._capacity.wait(stop, tell)

    def put_app(self, stop: StopToken) -> None:
        """Have the app of the batch at BrowserStack. Raises SubmitterError, InfrastructureError, Stopped."""
        if self.app:
            return
        app, path = self._context.target.app, self._context.app_path
        apps = Apps(self._api, self._context.log)
        if app is not None and app.custom_id is not None:
            self.app = apps.named(app.custom_id, self._context.app_version_id, stop)
        elif path is not None:
            self.app = apps.uploaded(path, stop, self._context.first_to_install)

    def environment(self) -> dict[str, str]:
        """What a process needs to open sessions of this batch, in whichever framework."""
        provider = self.provider
        return {
            **self._api.credentials,
            "QGJOB_BROWSERSTACK_APP": self.app,
            "QGJOB_BROWSERSTACK_DEVICE": provider.device,
            "QGJOB_BROWSERSTACK_OS_VERSION": provider.os_version,
            "QGJOB_BROWSERSTACK_HUB": f"{provider.hub_url}/wd/hub",
            "QGJOB_BROWSERSTACK_API": provider.api_url,
            "QGJOB_BROWSERSTACK_UPLOAD_API": provider.upload_url,
            "QGJOB_BROWSERSTACK_IDLE_SECONDS": str(provider.idle_seconds),
            "QGJOB_BROWSERSTACK_BUILD": self._context.batch,
            "QGJOB_BROWSERSTACK_SESSIONS": str(self._notes.path),
        }

    def mark(self) -> Mark:
        """A test begins."""
        return Mark(len(self._notes))

    def close_sessions(self, why: str, since: Mark | None = None) -> None:
        """End what a test, or the whole batch, has left open."""
        self._sessions.close_left_open(self._notes.read(since.lines if since else 0), why)

    def settled(self, result: TestResult, since: Mark) -> TestResult:
        """The result with links to its session, and with what BrowserStack knows of why it failed."""
        noted = self._notes.read(since.lines)
        if noted.opened:
            self._capacity.granted()
        details = self._details(result, noted.opened)
        result = replace(result, session=details.url, video=details.video)
        if result.outcome == "passed" or result.final_reason:
            return result
        if details.timed_out:
            advice = (
                f"provider.browserstack.idleSeconds is {self.provider.idle_seconds}, and may be up to 300"
            )
            said = f"BrowserStack ended the session because it heard nothing of the test for too long: {result.message}"
            return replace(result, outcome="failed", message=texts.with_advice(said, advice))
        cause = texts.explain(result.message, self.provider.credentials_secret)
        in_doubt = result.outcome == "failed" or cause == texts.NO_SESSION
        if in_doubt and (problem := self._sessions.hub_problem()):
            said = texts.with_advice(f"{problem} ({result.message})", texts.NETWORK)
            return replace(result, outcome="infrastructure", message=said, reason=texts.UNREACHABLE)
        if result.outcome == "failed" or cause is None:
            return result
        if cause.reason == texts.APP_GONE:
            self.app = ""
        return replace(result, message=texts.with_advice(result.message, cause.advice), reason=cause.reason)

    def refused(self) -> None:
        """A session was refused for want of room."""
        self._capacity.refused()

    def _details(self, result: TestResult, opened: Mapping[str, str]) -> Details:
        if not opened:
            return Details()
        # Of a file with several cases, the one that the message is about.
        about = [session for session, title in opened.items() if title and title in result.message]
        return self._sessions.details(about[0] if about else list(opened)[-1])
