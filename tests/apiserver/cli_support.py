"""The program `qgjob` as a process, and the operator's and the runner's part of a TestJob's life played by hand."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import API_VERSION, TEST_JOBS
from qgjob.client import Client

if TYPE_CHECKING:
    from collections.abc import Sequence

Object = dict[str, Any]

PROGRAM = Path(sys.executable).with_name("qgjob")
#: What a busy machine may need for what takes a moment.
PATIENCE_SECONDS = 60.0
#: What every submission needs.
NEEDED = ("--org-id", "acme", "--app-version-id", "app-1", "--target", "phones")


@dataclass(frozen=True)
class Answer:
    """What a run of the program came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def last_line(self) -> str:
        return self.stderr.strip().splitlines()[-1]


class Running:
    """The program while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._seen: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, words: str) -> None:
        """Wait until a line on stderr has these words."""
        while (line := self._lines.get(timeout=PATIENCE_SECONDS)) is not None:
            self._seen.append(line)
            if words in line:
                return
        raise AssertionError(f"it ended without saying {words!r}:\n{''.join(self._seen)}")

    def end(self) -> Answer:
        """Wait until it ends."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        code = self.process.wait(PATIENCE_SECONDS)
        while (line := self._lines.get(timeout=PATIENCE_SECONDS)) is not None:
            self._seen.append(line)
        return Answer(code, output, "".join(self._seen))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)


class Cli:
    """Runs the program against one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "QGJOB_"))},
            "KUBECONFIG": str(kubeconfig),
            "QGJOB_NAMESPACE": namespace,
        }

    def start(self, *arguments: str, stdin: str | None = None, **environment: str) -> Running:
        """Start it; its stdout is a pipe, so that it writes JSON."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self._environment, **environment},
        )
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
        return Running(process)

    def run(self, *arguments: str, stdin: str | None = None, **environment: str) -> Answer:
        """Run it to its end."""
        return self.start(*arguments, stdin=stdin, **environment).end()

    def submit(self, *arguments: str) -> Answer:
        """Run `submit` with what every submission needs."""
        return self.run("submit", *NEEDED, *arguments)

    def submitted(self, *arguments: str) -> str:
        """Submit one test (tests/login.spec.ts unless given) and return its job id."""
        tests = () if "--test" in arguments else ("--test", "tests/login.spec.ts")
        answer = self.submit(*tests, *arguments)
        assert answer.code == 0, answer.stderr
        job_id: str = answer.json["job_id"]
        return job_id


class Operator:
    """Moves TestJobs through their lives, by the functions that the operator and the runner use."""

    policy = lifecycle.RetryPolicy(backoff_seconds=3600, infrastructure_retries=0)

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.client = Client.from_kubeconfig(str(kubeconfig), namespace=namespace)
        self.namespace = namespace

    def job(self, name: str) -> Object:
        return self.client.get(TEST_JOBS, name)

    def jobs(self) -> list[Object]:
        return list(self.client.list(TEST_JOBS))

    def create(self, name: str, **spec: Any) -> None:
        """Create a TestJob as `kubectl apply` would."""
        spec = {"orgId": "acme", "appVersionId": "app-1", "test": "a.spec.ts", "target": "phones", **spec}
        body = {"apiVersion": API_VERSION, "kind": "TestJob", "metadata": {"name": name}, "spec": spec}
        self.client.create(TEST_JOBS, body)

    def set_status(self, name: str, changes: lifecycle.Changes) -> None:
        self.client.patch(TEST_JOBS, name, {"status": changes}, kind="merge", subresource="status")

    def run(self, name: str, pod: str = "tb-1-pod") -> None:
        """A batch claims it, and its pod begins the test."""
        job = self.job(name)
        replays = job["spec"].get("replays", 0)
        self.set_status(name, lifecycle.claim(job["status"], "tb-1", replays=replays))
        self.set_status(name, lifecycle.start(self.job(name)["status"], pod, datetime.now(UTC)))

    def finish(self, name: str, outcome: lifecycle.OutcomeName, message: str = "", **more: Any) -> None:
        """The running test comes to this."""
        job = self.job(name)
        result = lifecycle.Result(outcome, message, **more)
        retries = job["spec"]["maxRetries"]
        changes = lifecycle.finish(job["status"], result, self.policy, retries, datetime.now(UTC))
        self.set_status(name, changes)

    def run_to(self, name: str, outcome: lifecycle.OutcomeName, message: str = "", **more: Any) -> None:
        """It runs, and comes to this."""
        self.run(name)
        self.finish(name, outcome, message, **more)

    def replay(self, name: str) -> None:
        """It sees that spec.replays was counted up."""
        job = self.job(name)
        self.set_status(name, lifecycle.replay(job["status"], job["spec"]["replays"], datetime.now(UTC)))

    def cancel(self, name: str) -> None:
        self.set_status(name, lifecycle.cancel(self.job(name)["status"], datetime.now(UTC)))


def names(jobs: Sequence[Object]) -> set[str]:
    return {job["metadata"]["name"] for job in jobs}
