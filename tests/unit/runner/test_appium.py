"""The batch's Appium, played by a program that answers as one and says as much."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from testrunner.appwright.appium import Appium
from testrunner.appwright.kit import Kit
from testrunner.ports import free_port
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("x" * 10_000, flush=True)
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def appium(tmp_path: Path) -> Iterator[Appium]:
    (tmp_path / "program.py").write_text(PROGRAM)
    node = tmp_path / "bin" / "node"
    node.parent.mkdir()
    node.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "program.py"} "$@"\n')
    node.chmod(0o755)
    workdir = tmp_path / "work"
    workdir.mkdir()
    found = Appium(Kit(tmp_path), workdir, port=free_port())
    found.start({"PATH": f"{node.parent}{os.pathsep}{os.defpath}"})
    yield found
    found.close()


def test_its_log_does_not_grow_with_the_batch(
    appium: Appium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testrunner.appwright.appium.MAX_LOG_BYTES", 100_000)

    for _ in range(50):
        appium.wait_ready(StopToken())

    assert 0 < (tmp_path / "work/appium.log").stat().st_size < 150_000


def test_the_end_of_its_log_is_told(appium: Appium) -> None:
    appium.wait_ready(StopToken())

    assert 0 < len(appium.log_tail(100)) <= 100
