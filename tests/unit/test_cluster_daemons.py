"""Programs in the background: found again by a later command, and never mistaken for another."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hack.localcluster.daemons import Daemon, NotHealthyError, ProcessIdentity, Supervisor
from hack.localcluster.errors import ClusterError
from hack.localcluster.locks import exclusive
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def healthy() -> None:
    """Answer every health check."""


def unhealthy() -> None:
    raise NotHealthyError("it is still thinking")


SLEEPER = Daemon("sleeper", ("/bin/sleep", "1000"), check=healthy)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "processes", tmp_path / "logs")
    yield supervisor
    supervisor.kill("sleeper")


def another_command(supervisor: Supervisor, tmp_path: Path) -> Supervisor:
    """Return what the next `hack/cluster` on the same machine would use."""
    return Supervisor(tmp_path / "processes", tmp_path / "logs")


def test_a_later_command_finds_what_an_earlier_one_started(supervisor: Supervisor, tmp_path: Path) -> None:
    process = supervisor.start(SLEEPER)
    later = another_command(supervisor, tmp_path)
    assert later.process_of("sleeper") == process
    assert later.is_current(SLEEPER)


def test_a_crashed_program_is_not_running(supervisor: Supervisor) -> None:
    supervisor.start(SLEEPER).signal(signal.SIGKILL)
    supervisor.kill("sleeper")
    assert supervisor.process_of("sleeper") is None


def test_another_process_with_the_same_number_is_not_the_program(supervisor: Supervisor) -> None:
    process = supervisor.start(SLEEPER)
    assert not replace(process, start_ticks=process.start_ticks - 1).is_alive()
    assert not replace(process, boot_id="the boot before").is_alive()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert ProcessIdentity.of(child.pid) is None
    child.wait()


def test_a_program_that_would_be_told_something_else_now_is_not_current(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    configuration = tmp_path / "config"
    configuration.write_text("old")
    daemon = replace(SLEEPER, files=(configuration,))
    supervisor.start(daemon)
    configuration.write_text("new")
    assert not supervisor.is_current(daemon)


def test_a_program_that_ignores_the_request_to_stop_is_killed(supervisor: Supervisor) -> None:
    stubborn = replace(
        SLEEPER,
        argv=("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"),
        grace_seconds=0.2,
    )
    process = supervisor.start(stubborn)
    wait_for_log(supervisor, stubborn, "deaf")
    supervisor.stop(stubborn)
    assert not process.is_alive()


def wait_for_log(supervisor: Supervisor, daemon: Daemon, text: str) -> None:
    def check() -> None:
        if text not in supervisor.log_of(daemon).read_text():
            raise NotHealthyError(f"it has not said {text}")

    supervisor.wait_healthy(replace(daemon, check=check), timeout_seconds=20)


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    failing = replace(SLEEPER, argv=("/bin/sh", "-c", "echo no such flag: --frob; exit 1"), check=unhealthy)

    def start_and_wait() -> None:
        # Whether it ends before or after it could be looked at first is a matter of luck.
        supervisor.start(failing)
        supervisor.wait_healthy(failing, timeout_seconds=20)

    with pytest.raises(ClusterError, match="sleeper ended: no such flag: --frob"):
        start_and_wait()


def test_a_program_that_never_answers_is_reported_with_its_log(supervisor: Supervisor) -> None:
    mute = replace(SLEEPER, check=unhealthy)
    supervisor.start(mute)
    with pytest.raises(ClusterError, match=r"not healthy after 0 s \(it is still thinking\).*sleeper\.log"):
        supervisor.wait_healthy(mute, timeout_seconds=0)


def test_nothing_of_the_callers_environment_leaks_in(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    printer = replace(SLEEPER, argv=("/bin/sh", "-c", "env; echo END; exec sleep 1000"))
    supervisor.start(printer)
    wait_for_log(supervisor, printer, "END")
    assert "AWS_SECRET_ACCESS_KEY" not in supervisor.log_of(printer).read_text()


def test_who_comes_second_is_told_and_waits(tmp_path: Path) -> None:
    output, entered, leave = io.StringIO(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with exclusive(tmp_path / "lock", Report(io.StringIO()), doing="testing"):
            entered.set()
            leave.wait(20)
            order.append("first")

    class Told(io.StringIO):
        """Lets the first one go as soon as the second one has said that it waits."""

        def write(self, text: str) -> int:
            output.write(text)
            leave.set()
            return len(text)

    holder = threading.Thread(target=first)
    holder.start()
    entered.wait(20)
    with exclusive(tmp_path / "lock", Report(Told()), doing="testing"):
        order.append("second")
    holder.join()

    assert order == ["first", "second"]
    assert output.getvalue() == f"another process ({os.getpid()}) is testing; waiting for it\n"


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    script = (
        "import io, os, pathlib, sys; from hack.localcluster.locks import exclusive;"
        "from hack.localcluster.report import Report;"
        "exclusive(pathlib.Path(sys.argv[1]), Report(io.StringIO()), doing='x').__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "lock"], check=False)
    output = io.StringIO()
    with exclusive(tmp_path / "lock", Report(output), doing="testing"):
        assert output.getvalue() == ""
