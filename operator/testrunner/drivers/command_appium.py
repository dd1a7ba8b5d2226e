"""The Appium that `driver.command.appium` asks for: one for the whole batch, on ports of its own."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..appwright.appium import HUNG, Appium
from ..appwright.kit import Kit
from ..appwright.sdk import link_sdk
from ..environment import base_environment
from ..ports import free_port

if TYPE_CHECKING:
    from ..devices.adb import Adb
    from ..process import ProcessEnd
    from ..stop import StopToken
    from .base import BatchContext, TestResult

#: What Appium or its server on the device says when they are at fault, and no test.
PATTERNS: Final = (
    re.compile(r"SessionNotCreated|session not created|new session could not be created", re.IGNORECASE),
    re.compile(r"cannot be proxied to UiAutomator2|instrumentation process|Could not proxy command"),
    re.compile(r"Error executing adbExec|Could not find a connected Android device"),
)


class CommandAppium:
    """Every session has the batch's device, without that tests need to know which and by what adb server."""

    def __init__(self, context: BatchContext, adb: Adb) -> None:
        """Raises InfrastructureError where the image has no Appium, adb or aapt."""
        self._adb = adb
        self._environment = {
            **base_environment(os.environ),
            "ANDROID_HOME": str(link_sdk(context.workdir)),
            "ANDROID_ADB_SERVER_PORT": str(adb.server_port),
        }
        capabilities = {
            "appium:udid": adb.address,
            "appium:adbPort": adb.server_port,
            # Otherwise Appium looks for a free one, as others on this machine do at the same moment.
            "appium:systemPort": free_port(),
        }
        self._appium = Appium(
            Kit.find(os.environ), context.workdir, port=free_port(), plugin=False, capabilities=capabilities
        )

    @property
    def variables(self) -> dict[str, str]:
        """What a test's environment needs."""
        return {"APPIUM_URL": self._appium.url}

    def start(self) -> None:
        """Start it, without waiting. Raises InfrastructureError."""
        self._appium.start(self._environment)

    def wait_ready(self, stop: StopToken) -> None:
        """Wait until it takes sessions; start it again where it died or hung. Raises InfrastructureError, Stopped."""
        self._appium.wait_ready(stop, self._adb)

    def after(self, end: ProcessEnd) -> None:
        """After a test's process: one that was stopped in the middle may have left a session in a command."""
        if end.stopped or end.timed_out:
            self._appium.restart(self._adb)

    def judged(self, result: TestResult, end: ProcessEnd) -> TestResult:
        """The test's result, unless Appium is what failed: that is found out, and mended, here."""
        if result.outcome != "failed" or end.timed_out or self._appium.answers():
            return result
        self._appium.restart(self._adb)
        return replace(result, outcome="infrastructure", message=f"{HUNG} ({result.message})")

    def close(self) -> None:
        """End it."""
        self._appium.close()
