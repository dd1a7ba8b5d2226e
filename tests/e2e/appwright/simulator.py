"""A simulated phone or cloud as a process: what its control port tells, and what can be made to go wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

REPOSITORY = Path(__file__).parents[3]
ANSWER_SECONDS = 10


class Simulator:
    """`python -m MODULE …`, which prints its ports. It ends with the block; its journal is then in `log`."""

    #: URL of its control port.
    _control: str

    def __init__(self, module: str, *options: str, log: Path) -> None:
        self._argv = [sys.executable, "-m", module, *options]
        self._log = log

    def _start(self) -> dict[str, Any]:
        """Start it; returns what it says of itself."""
        self._process = subprocess.Popen(self._argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        boot: dict[str, Any] = json.loads(self._process.stdout.readline())
        # What it kept is read from the control port; but a pipe that nobody reads would stop it once it is full.
        self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._reader.start()
        return boot

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.write_text("".join(json.dumps(e) + "\n" for e in self.events()))
        self._process.terminate()
        self._process.wait(timeout=10)
        self._reader.join()

    def events(self, only: str = "") -> list[dict[str, Any]]:
        lines = self._get("/log" + (f"?event={only}" if only else "")).splitlines()
        return [json.loads(line) for line in lines]

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._get("/state"))
        return state

    def fault(self, text: str) -> None:
        self._post("/fault", text)

    def wait_for(self, event: str) -> bool:
        """Waits until it has seen such an event."""
        while not self.events(event):
            time.sleep(0.1)
        return True

    def wait_until(self, so: Callable[[dict[str, Any]], bool]) -> None:
        """Waits until its state is so."""
        while not so(self.state()):
            time.sleep(0.1)

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._control + path, timeout=ANSWER_SECONDS) as answer:
            return bytes(answer.read())

    def _post(self, path: str, body: str) -> None:
        with urllib.request.urlopen(self._control + path, data=body.encode(), timeout=ANSWER_SECONDS):
            pass
