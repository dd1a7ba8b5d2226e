"""The one Appium server of a batch."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..stop import StopToken
    from .kit import Kit

#: AppWright knows no other.
PORT: Final = 4723
START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1
_HOME_PACKAGES: Final = ("appium", "appium-uiautomator2-driver", "qgjob-install-once")
_STACK: Final = re.compile(r"\s+at ")


class Appium:
    """Starts without waiting, so that the install goes on beside it; `wait_ready` waits."""

    def __init__(self, kit: Kit, workdir: Path) -> None:
        self._kit = kit
        self._home = workdir / "appium-home"
        self._log_file = workdir / "appium.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._environment: Mapping[str, str] = {}

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the server in a process group of its own. Raises InfrastructureError where its port is taken."""
        self._environment = environment
        if _listens(PORT):
            raise InfrastructureError(
                f"port {PORT} is taken: another Appium or another runner with driver appwright is on this machine"
            )
        self._make_home()
        argv = [
            "node", str(self._kit.appium), "server",
            "--address", "127.0.0.1", "--port", str(PORT),
            "--use-drivers", "uiautomator2", "--use-plugins", "install-once",
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

    def wait_ready(self, stop: StopToken) -> None:
        """Wait until it takes sessions. One that has died since is started again.

        Raises InfrastructureError, Stopped.
        """
        if self._process is None or self._process.poll() is not None:
            if not self._ready:
                raise self._not_started()
            self.start(self._environment)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready:
            if self._process is not None and self._process.poll() is not None:
                raise self._not_started()
            if time.monotonic() > deadline:
                raise InfrastructureError(f"Appium was not ready within {START_SECONDS:g} s")
            self._ready = _answers()
            if not self._ready and stop.wait(_POLL_SECONDS):
                raise Stopped(stop.reason)

    def log_tail(self, characters: int = 4000) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError):
            return self._log_file.read_text(errors="replace")[-characters:]
        return ""

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
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/status", timeout=2.0):
            return True
    except (urllib.error.URLError, OSError):
        return False
