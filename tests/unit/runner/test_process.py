from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testrunner.process import MAX_LINE_BYTES, ProcessEnd, run_process
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0


def run(script: str, **options: Any) -> tuple[ProcessEnd, list[str]]:
    lines: list[str] = []
    options = {
        "cwd": Path("/"),
        "env": {"PATH": os.environ["PATH"]},
        "timeout": PATIENCE,
        "stop": StopToken(),
        "on_line": lines.append,
        **options,
    }
    return run_process(["sh", "-c", script], **options), lines


def when_it_says(word: str, act: Callable[[], None]) -> Callable[[str], None]:
    return lambda line: act() if line == word else None


def test_the_exit_code_and_both_outputs_are_reported() -> None:
    end, lines = run("echo out; echo err >&2; exit 7")

    assert (end.returncode, end.timed_out, end.stopped, end.watch_message) == (7, False, False, "")
    assert sorted(lines) == ["err", "out"]


def test_a_last_line_without_an_end_is_kept() -> None:
    _, lines = run("printf 'one\\ntwo'")

    assert lines == ["one", "two"]


def test_only_the_given_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    _, lines = run("env")

    assert not [line for line in lines if line.startswith("KUBERNETES")]


def test_a_program_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(FileNotFoundError):
        run_process(
            ["no-such-program"],
            cwd=Path("/"),
            env={},
            timeout=1,
            stop=StopToken(),
            on_line=lambda _: None,
        )


def test_when_its_time_is_over_it_is_stopped_by_the_stop_signal() -> None:
    end, lines = run("trap 'echo tidy; exit 130' INT; while :; do sleep 0.05; done", timeout=0.3)

    assert (end.timed_out, end.returncode) == (True, 130)
    assert lines == ["tidy"]


def test_what_ignores_the_stop_signal_is_killed_after_the_grace() -> None:
    end, _ = run("trap '' INT TERM; while :; do sleep 0.05; done", timeout=0.2, grace=0.2)

    assert (end.timed_out, end.returncode) == (True, -signal.SIGKILL)


def test_a_request_to_stop_reaches_the_whole_group() -> None:
    stop = StopToken()
    # Not SIGINT here: sh starts what runs in the background with that ignored.
    script = "(trap 'echo child stopped; exit' TERM; echo up; while :; do sleep 0.05; done) & wait"

    end, _ = run(
        script,
        stop=stop,
        stop_signal=signal.SIGTERM,
        on_line=when_it_says("up", lambda: stop.request("enough")),
    )

    assert end.stopped
    assert "child stopped" in end.tail


def test_a_stop_at_once_cuts_the_grace_short() -> None:
    stop = StopToken()
    script = "trap '' INT; echo up; while :; do sleep 0.05; done"

    end, _ = run(
        script,
        stop=stop,
        grace=3600.0,
        on_line=when_it_says("up", lambda: stop.request("fenced", at_once=True)),
    )

    assert (end.stopped, end.returncode) == (True, -signal.SIGKILL)


def test_a_stop_becomes_at_once_by_a_later_request() -> None:
    stop = StopToken()
    script = "trap 'echo asked' INT; echo up; while :; do sleep 0.05; done"

    def on_line(line: str) -> None:
        when_it_says("up", lambda: stop.request("please"))(line)
        when_it_says("asked", lambda: stop.request("now", at_once=True))(line)

    end, _ = run(script, stop=stop, grace=3600.0, on_line=on_line)

    assert end.returncode == -signal.SIGKILL
    assert stop.reason == "please"


def test_what_a_program_leaves_behind_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    end, _ = run(f"sleep 1000 & echo $! > {pid}")

    assert end.returncode == 0
    with pytest.raises(ProcessLookupError):
        _wait_until_gone(int(pid.read_text()))


DAEMON = (
    "setsid sh -c 'setsid sleep 1000 & echo $! > {pid}; exec sleep 1000' & while ! [ -s {pid} ]; do :; done;"
)


def test_daemons_in_sessions_of_their_own_are_killed_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    end, lines = run(DAEMON.format(pid=pid) + "echo done")

    assert (end.returncode, lines[0]) == (0, "done")
    assert "killed what it left behind" in lines[-1]
    assert "sleep 1000" in lines[-1]
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_daemon_that_scrubbed_its_environment_and_lost_its_parent_is_killed_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"(env -i /usr/bin/setsid /bin/sh -c 'echo $$ > {pid}; exec /bin/sleep 1000' &) ; "

    run(script + f"while ! [ -s {pid} ]; do :; done")

    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_daemons_end_with_a_program_that_had_to_be_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    end, _ = run(DAEMON.format(pid=pid) + "trap '' INT; while :; do sleep 0.05; done", timeout=0.5, grace=0.1)

    assert end.timed_out
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_what_was_there_before_is_left_alone(tmp_path: Path) -> None:
    helper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        run(DAEMON.format(pid=tmp_path / "pid") + "echo done")

        assert helper.poll() is None
    finally:
        helper.kill()
        helper.wait()


def test_a_program_that_runs_beside_is_left_alone(tmp_path: Path) -> None:
    stop, running = StopToken(), threading.Event()
    beside: list[ProcessEnd] = []

    def run_beside() -> None:
        end, _ = run("echo up; exec sleep 1000", stop=stop, on_line=lambda _: running.set())
        beside.append(end)

    other = threading.Thread(target=run_beside)

    def start_it() -> None:
        other.start()
        assert running.wait(PATIENCE)

    run("echo up", on_line=when_it_says("up", start_it))
    stop.request("enough")
    other.join(PATIENCE)

    assert [(end.stopped, end.returncode) for end in beside] == [(True, -signal.SIGINT)]


def test_a_program_that_leaves_nothing_says_nothing() -> None:
    _, lines = run("(exit 3) & wait; echo done")

    assert lines == ["done"]


def test_a_daemon_that_holds_the_output_open_does_not_hold_us() -> None:
    end, lines = run("setsid sleep 20 & echo done")

    assert (end.returncode, lines[0]) == (0, "done")


def test_a_watcher_ends_it_early() -> None:
    end, _ = run("sleep 1000", watch=lambda: "device offline", watch_interval=0.05, grace=0.2)

    assert (end.watch_message, end.timed_out, end.stopped) == ("device offline", False, False)


def test_an_endless_line_comes_in_pieces() -> None:
    _, lines = run(f"head -c {MAX_LINE_BYTES * 2 + 5} /dev/zero | tr '\\0' x")

    assert "".join(lines) == "x" * (MAX_LINE_BYTES * 2 + 5)
    assert max(len(line) for line in lines) <= MAX_LINE_BYTES


def test_the_tail_is_the_end_of_the_output() -> None:
    end, lines = run("seq 1 20000")

    assert len(lines) == 20000
    assert end.tail.endswith("19999\n20000")
    assert len(end.tail) <= 8 * 1024


def test_an_error_in_the_callers_line_handler_is_the_callers() -> None:
    def on_line(_: str) -> None:
        raise ValueError("broken handler")

    with pytest.raises(ValueError, match="broken handler"):
        run("seq 1 100000", on_line=on_line)


def test_stopping_before_the_start_runs_nothing_for_long() -> None:
    stop = StopToken()
    stop.request("already")

    end, _ = run("sleep 1000", stop=stop, grace=0.2)

    assert end.stopped


def test_no_thread_is_left_over() -> None:
    before = threading.active_count()

    run("echo one")

    assert threading.active_count() <= before


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            raise ProcessLookupError  # a zombie that nobody reaps here
        time.sleep(0.02)
