"""One Android device over adb: connect, install, clear. Every command has a time limit: a phone may hang."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qgjob.api.constants import DEVICE_OFFLINE

from ..drivers.base import InfrastructureError, Stopped, SubmitterError
from ..ports import free_port
from ..process import run_process, telling_line
from .logcat import NAME, DeviceLog
from .refusals import culprit
from .starts import QUESTION, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..stop import StopToken

#: Seconds for a command that a healthy device answers at once.
COMMAND_SECONDS: Final = 15.0
#: How long a device may take until it is connected.
CONNECT_SECONDS: Final = 30.0
#: Of a command that may be stopped: how soon that is noticed.
_LOOK_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 1.0
_FIRST_LOOKS: Final = 10
_FIRST_LOOK_SECONDS: Final = 0.1
_GRANTED: Final = re.compile(r"^[ \t]+([\w.]+): granted=true\b", re.MULTILINE)
_FAILURE: Final = re.compile(r"(?:(?:Failure|Error)[^\[\n]*|failed to install[^\[]*)\[([^\]\n]+)\]")


class AdbError(Exception):
    """adb could not do it. The text is what adb said."""


class Adb:
    """A device at an adb address, through an adb server of its own.

    The server's port is free when it is chosen, so that neither another runner on the machine nor a
    developer's adb is disturbed; `close` ends the server.
    """

    def __init__(
        self, address: str, name: str, *, environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        self.address = address
        self.name = name
        self.server_port = free_port()
        self._log = log
        self._environment = {**environment, "ANDROID_ADB_SERVER_PORT": str(self.server_port)}
        self._environment.pop("ANDROID_SERIAL", None)
        self._start = Start()
        self._granted: dict[str, tuple[str, ...]] = {}

    def connect(self, stop: StopToken, seconds: float) -> None:
        """Connect, and wait until the device answers.

        Raises InfrastructureError (DeviceOffline) where it does not within `seconds`, Stopped.
        """
        if said := self._until_connected(stop, seconds):
            raise InfrastructureError(
                f"device {self.name} ({self.address}) does not answer: {said}. Is it on, in this network, and does it "
                "trust the runner's adb key (ADB_VENDOR_KEYS)?",
                device_lost=True,
                reason=DEVICE_OFFLINE,
            )

    def try_to_connect(self, stop: StopToken, seconds: float = COMMAND_SECONDS) -> str:
        """Connect, if it isn't; returns what is wrong, empty where the device answers. Raises Stopped.

        adb itself waits some 10 s for a device whose port is open and that says nothing.
        """
        try:
            said = self._run("connect", self.address, seconds=seconds, stop=stop).strip()
            if said.startswith(("connected", "already connected")):
                said = self._first_sign(stop, seconds)
                if not said:
                    return ""
        except AdbError as error:
            said = str(error)
        # An entry that is stuck (offline) stays so until it is dropped.
        with suppress(AdbError):
            self._run("disconnect", self.address, seconds=seconds, stop=stop)
        return said

    def probe(self, seconds: float = COMMAND_SECONDS, stop: StopToken | None = None) -> str:
        """Ask the device itself for a sign of life; returns what is wrong, empty where nothing is.

        `adb get-state` would not do: adb's server answers it, also for a device that hangs. Raises Stopped.
        """
        try:
            now = self._start_of(seconds, stop)
        except AdbError as error:
            return str(error)
        if self._start.is_over(now):
            return "it was restarted in the meantime, by itself or by somebody"
        return ""

    def remember_boot(self) -> None:
        """From now on a device that was restarted is lost: what ran there is gone, and on an emulator the app too.

        One that does not tell when it started is taken as it is.
        """
        with suppress(AdbError):
            self._start = self._start_of(COMMAND_SECONDS)

    def _start_of(self, seconds: float, stop: StopToken | None = None) -> Start:
        """Which start of the device this is. Raises AdbError, Stopped."""
        return Start.parse(self.shell(QUESTION, seconds=seconds, stop=stop))

    def shell(self, *words: str, seconds: float = COMMAND_SECONDS, stop: StopToken | None = None) -> str:
        """Run a command on the device; returns its output. Raises AdbError, Stopped."""
        return self._run("-s", self.address, "shell", *words, seconds=seconds, stop=stop)

    def is_installed(self, package: str) -> bool:
        """Whether the device has the package. Raises AdbError where it can't be asked."""
        listed = self.shell("pm", "list", "packages", package)
        return f"package:{package}" in listed.split()

    def lacks(self, package: str) -> bool:
        """Whether the device says that it has no such package; one that can't be asked says nothing."""
        try:
            return not self.is_installed(package)
        except AdbError:
            return False

    def install(self, app: Path, package: str, *, seconds: float, stop: StopToken) -> None:
        """Install an app as if for the first time: what is left of an earlier one is removed first.

        That costs an older app's data, which tests must not meet, and allows an older version and another
        signature. Raises InfrastructureError with the device's own words (INSTALL_FAILED_…), SubmitterError
        (AppInvalid) where the app is at fault, Stopped.
        """
        try:
            if self.is_installed(package):
                self._run("-s", self.address, "uninstall", package, seconds=60.0)
        except AdbError as error:
            raise self._failed(f"an older {package} could not be removed: {error}") from error
        end = run_process(
            ["adb", "-s", self.address, "install", "-r", "-g", "-t", str(app)],
            cwd=app.parent,
            env=self._environment,
            timeout=seconds,
            stop=stop,
            grace=2.0,
            on_line=self._log,
        )
        if end.stopped:
            raise Stopped(stop.reason)
        if end.timed_out:
            raise self._failed(f"the install did not end within {seconds:g} s")
        if end.returncode != 0 or "Success" not in end.tail.split():
            reason = install_failure(end.tail)
            if culprit(reason) == "app":
                raise SubmitterError(
                    "AppInvalid",
                    f"{app.name} can't be installed on {self.name} or any device like it: {reason}",
                )
            raise self._failed(f"{app.name} could not be installed: {reason}")
        # One that can't be asked grants nothing again; what is wrong with it, the next command tells.
        with suppress(AdbError):
            self._granted[package] = granted_permissions(self.shell("dumpsys", "package", package))

    def clear(self, package: str) -> None:
        """Remove the app's data and stop it. Raises InfrastructureError.

        That takes the permissions back that `install` has granted, so they are granted again: a test finds the same
        app whether it is the first of its batch or not.
        """
        try:
            said = self.shell("pm", "clear", package, seconds=60.0)
        except AdbError as error:
            raise self._failed(f"the data of {package} could not be cleared: {error}") from error
        if "Success" not in said:
            raise self._failed(f"the data of {package} could not be cleared: {said.strip()}")
        if again := [f"pm grant {package} {permission}" for permission in self._granted.get(package, ())]:
            try:
                self.shell("; ".join([*again, "true"]), seconds=60.0)
            except AdbError as error:
                raise self._failed(f"{package} could not be given its permissions again: {error}") from error

    def remove_forwards(self) -> None:
        """Give up every port of this machine that leads to the device. Raises AdbError."""
        self._run("-s", self.address, "forward", "--remove-all", seconds=COMMAND_SECONDS)

    def log_into(self, folder: Path) -> DeviceLog:
        """The device's log from the `with` that this is used in until its end, as a file in the folder."""
        # `-T 1`: from the newest line on, not from the beginning of what the device still has.
        argv = ["adb", "-s", self.address, "logcat", "-v", "threadtime", "-T", "1"]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

        return DeviceLog(start, folder / NAME)

    def lost(self, said: str) -> InfrastructureError:
        """The device does not answer: nothing can go on there."""
        return InfrastructureError(f"device {self.name} ({self.address}) is lost: {said}", device_lost=True)

    def close(self) -> None:
        """End the adb server."""
        with suppress(AdbError):
            self._run("kill-server", seconds=5.0)

    def _failed(self, what: str) -> InfrastructureError:
        """Something went wrong on the device; whether the device itself is gone, it is asked."""
        if said := self.probe():
            return self.lost(said)
        return InfrastructureError(f"device {self.name}: {what}")

    def _until_connected(self, stop: StopToken, seconds: float) -> str:
        """Returns what adb said last where the device could not be reached, empty where it was."""
        deadline = time.monotonic() + seconds
        while said := self.try_to_connect(stop):
            if time.monotonic() > deadline:
                return said
            _pause(stop)
        return ""

    def _first_sign(self, stop: StopToken, seconds: float) -> str:
        """A device that was just connected is offline for some milliseconds."""
        for _ in range(_FIRST_LOOKS):
            said = self.probe(seconds, stop)
            if "offline" not in said:
                return said
            if stop.wait(_FIRST_LOOK_SECONDS):
                raise Stopped(stop.reason)
        return said

    def _run(self, *words: str, seconds: float, stop: StopToken | None = None) -> str:
        try:
            process = subprocess.Popen(
                ["adb", *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise AdbError("adb is not installed in the runner's image") from error
        with process:
            try:
                said = _output(process, seconds, stop)
            finally:
                process.kill()
        if process.returncode != 0:
            raise AdbError(telling_line(said) or f"adb ended with exit code {process.returncode}")
        return said


def _output(process: subprocess.Popen[str], seconds: float, stop: StopToken | None) -> str:
    """What it prints until it ends. Raises AdbError where that takes too long, Stopped."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if stop is not None and stop.requested:
            raise Stopped(stop.reason)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=left if stop is None else min(left, _LOOK_SECONDS))[0]
    raise AdbError(f"no answer within {seconds:g} s")


def granted_permissions(dumpsys: str) -> tuple[str, ...]:
    """The permissions that an app asks for at run time and has, in what `dumpsys package` prints of it."""
    _, _, runtime = dumpsys.partition("runtime permissions:")
    # There is a part for each user of the device; the first is the one that apps are installed for.
    return tuple(_GRANTED.findall(runtime.partition("runtime permissions:")[0]))


def install_failure(output: str) -> str:
    """The reason in what `adb install` printed: `INSTALL_FAILED_OLDER_SDK: …`, else the line that tells most."""
    found = _FAILURE.search(output)
    return found[1] if found else telling_line(output) or "adb said nothing"


def find_sdk_tool(name: str) -> Path:
    """Where a program of the Android SDK is. Raises InfrastructureError where the image lacks it."""
    for folder in os.get_exec_path():
        path = Path(folder) / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise InfrastructureError(f"{name} is not installed in the runner's image")


def _pause(stop: StopToken) -> None:
    if stop.wait(_AGAIN_SECONDS):
        raise Stopped(stop.reason)
