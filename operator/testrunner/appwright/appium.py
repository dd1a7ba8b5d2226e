"""The one Appium server of a batch."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from ..devices.adb import AdbError
from ..drivers.base import InfrastructureError, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..devices.adb import Adb
    from ..stop import StopToken
    from .kit import Kit

#: AppWright knows no other.
PORT: Final = 4723
START_SECONDS: Final = 60.0
#: A server that is well answers within milliseconds, whatever its sessions do.
ANSWER_SECONDS: Final = 5.0
#: Its log is for whoever looks into the pod; what is older goes.
MAX_LOG_BYTES: Final = 64 * 1024 * 1024
#: What is said of a test whose Appium did not answer any more.
HUNG: Final = "Appium did not answer any more, and was started anew"
_STOP_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1
_HOME_PACKAGES: Final = ("appium", "appium-uiautomator2-driver", "qgjob-install-once")
_SERVER: Final = "io.appium.uiautomator2.server"
#: Ends what Appium runs on the device.
_END_ON_DEVICE: Final = ("am", "force-stop", _SERVER, ";", "am", "force-stop", f"{_SERVER}.test")
_STACK: Final = re.compile(r"\s+at ")


class Appium:
    """Starts without waiting, so that the install goes on beside it; `wait_ready` waits."""

    def __init__(
        self,
        kit: Kit,
        workdir: Path,
        *,
        port: int = PORT,
        plugin: bool = True,
        capabilities: Mapping[str, object] | None = None,
    ) -> None:
        self._kit = kit
        self._port = port
        #: Whether sessions are rewritten to the app that the runner has installed (kit/install-once).
        self._plugin = plugin
        #: What sessions have that do not ask for anything else.
        self._capabilities = json.dumps(dict(capabilities or {}))
        self._home = workdir / "appium-home"
        self._log_file = workdir / "appium.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._environment: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """Where sessions are created."""
        return f"http://127.0.0.1:{self._port}"

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the server in a process group of its own. Raises InfrastructureError where its port is taken."""
        self._environment = environment
        if is_taken(self._port):
            raise InfrastructureError(
                f"port {self._port} is taken: another Appium or another runner that has one is on this machine"
            )
        self._make_home()
        argv = [
            "node", str(self._kit.appium), "server",
            "--address", "127.0.0.1", "--port", str(self._port), "--session-override",
            "--use-drivers", "uiautomator2", *(["--use-plugins", "install-once"] if self._plugin else []),
            "--default-capabilities", self._capabilities,
            "--log-no-colors", "--log-timestamp",
        ]  # fmt: skip
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=self._kit.home,
                env={**environment, "APPIUM_HOME": str(self._home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ready = False

    def wait_ready(self, stop: StopToken, device: Adb | None = None) -> None:
        """Wait until it takes sessions. One that has died or hung since is started again (see `restart`).

        Raises InfrastructureError, Stopped.
        """
        self._bound_log()
        if self._process is None:
            self.start(self._environment)
        elif self._ready and not self.answers():
            self.restart(device)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready:
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise self._not_started()
            if time.monotonic() > deadline:
                raise InfrastructureError(f"Appium was not ready within {START_SECONDS:g} s")
            self._ready = self.answers()
            if not self._ready and stop.wait(_POLL_SECONDS):
                raise Stopped(stop.reason)

    def answers(self) -> bool:
        """Whether it runs and answers."""
        if self._process is None or self._process.poll() is not None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        with closing(connection):
            try:
                connection.request("GET", "/status")
                return connection.getresponse().status == http.client.OK
            except (OSError, http.client.HTTPException):
                return False

    def restart(self, device: Adb | None = None) -> None:
        """End it with all its sessions, and what it runs on the device, and start it again, without waiting.

        For what a test leaves that was stopped in the middle: a session that is still in a command. What goes
        wrong with it, `wait_ready` says: the result of the test that was before is not at stake.
        """
        self._end(signal.SIGKILL)
        if device is not None:
            # Whether the device is lost, the next look at it tells.
            with suppress(AdbError):
                device.shell(*_END_ON_DEVICE, seconds=ANSWER_SECONDS)
                device.remove_forwards()
        with suppress(InfrastructureError):
            self.start(self._environment)

    def log_tail(self, characters: int = 4000) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError), self._log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4 * characters))
            return log.read().decode(errors="replace")[-characters:]
        return ""

    def _bound_log(self) -> None:
        """It says some megabytes of every session, and a batch has hundreds. It appends, so it goes on at the front."""
        with suppress(OSError):
            if self._log_file.stat().st_size > MAX_LOG_BYTES:
                os.truncate(self._log_file, 0)

    def _make_home(self) -> None:
        """A folder that Appium may write to, with the kit's extensions: the kit itself may be read-only."""
        packages = self._home / "node_modules"
        packages.mkdir(parents=True, exist_ok=True)
        for name in _HOME_PACKAGES:
            if not (packages / name).is_symlink():
                (packages / name).symlink_to(self._kit.home / "node_modules" / name)
        description = {"private": True, "dependencies": dict.fromkeys(_HOME_PACKAGES, "*")}
        (self._home / "package.json").write_text(json.dumps(description))

    def _not_started(self) -> InfrastructureError:
        # The reason comes before the stack that it came through.
        lines = [line for line in self.log_tail().splitlines() if line.strip() and not _STACK.match(line)]
        return InfrastructureError(
            f"Appium did not start: {lines[-1].strip() if lines else 'it said nothing'}"
        )

    def close(self) -> None:
        """End it and whatever it started."""
        self._end(signal.SIGTERM)

    def _end(self, first: signal.Signals) -> None:
        process, self._process = self._process, None
        self._ready = False
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, first)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_taken(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
