"""The `command` driver on BrowserStack: any framework that can open a WebDriver session there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..drivers.base import InfrastructureError, NoCapacityError
from ..drivers.command import CommandDriver
from .cloud import Cloud
from .texts import QUEUE_FULL, REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..drivers.base import TestResult, TestRun
    from ..stop import StopToken


class CloudCommandDriver(CommandDriver):
    """The app is uploaded and sessions are waited for; the commands open their sessions themselves."""

    own_patterns = (REFUSALS,)

    _cloud: Cloud | None = None

    def prepare(self) -> None:
        """Check the settings and the credentials."""
        super().prepare()
        self._cloud = Cloud(self.context, os.environ)

    def await_capacity(self, stop: StopToken) -> None:
        """Wait for a free session of the plan."""
        self._there.await_capacity(stop, self._tell)

    def install(self) -> None:
        """Have the app at BrowserStack, then run driver.command.install."""
        self._there.put_app(self.stop)
        super().install()

    def run(self, test: TestRun) -> TestResult:
        """Run driver.command.test, and end what it leaves open of the sessions that it noted."""
        self._there.put_app(test.stop)
        mark = self._there.mark()
        try:
            result = super().run(test)
        finally:
            # Where seconds count, `close` does it, when results are safe.
            if not test.stop.at_once:
                self._there.close_sessions(test.stop.reason or "the test left it open", since=mark)
        result = self._there.settled(result, mark)
        if result.reason == QUEUE_FULL:
            self._there.refused()
            raise NoCapacityError(result.message, reason=QUEUE_FULL)
        return result

    def close(self) -> None:
        """End the sessions that are left open."""
        if self._cloud is not None:
            self._cloud.close_sessions(self.stop.reason or "the batch is over")
        super().close()

    def with_device(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What a command needs to open a session."""
        return {**super().with_device(environment), **self._there.environment()}

    @property
    def _there(self) -> Cloud:
        if self._cloud is None:
            raise InfrastructureError("prepare was not called")
        return self._cloud

    def _tell(self, what: str) -> None:
        self.waiting_for = what
