"""Runner and courier as the two processes of a pod, with private servers: only the courier has the Secrets."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from qgjob.api.constants import TEST_BATCHES
from qgjob.api.source import GitSource
from testrunner.courier.remote import RemoteCourier
from testrunner.drivers.base import InfrastructureError, Stopped
from testrunner.stop import StopToken
from tests.apiserver.runner_support import World, command, eventually, simulate
from tests.services.git_server import TOKEN, USER, Repository, git_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hack.localcluster.throwaway import ThrowawayControlPlane

KEY = "s3cret-of-the-builds"


class Builds:
    """Serves one package to whoever has the key; slowly, if a test wants that."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        scene = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scene.asked.set()
                scene.go_on.wait(60)
                self.send_response(200 if self.headers.get("X-Api-Key") == KEY else 403)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"package")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/{{appVersionId}}/app.apk"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()


class Pod:
    """A target with Secrets, and the folders of a pod for it."""

    def __init__(self, world: World, account: Path, folder: Path, builds: Builds, git_url: str) -> None:
        self.world = world
        self.account = account
        self.folder = folder
        self.builds = builds
        self.git_url = git_url
        self.secrets = {"app-headers": {"X-Api-Key": KEY}, "git-0": {"username": USER, "password": TOKEN}}
        for purpose, keys in self.secrets.items():
            (folder / "secrets" / purpose).mkdir(parents=True)
            for key, value in keys.items():
                (folder / "secrets" / purpose / key).write_text(value)
        for name in ("reports", "socket"):
            (folder / name).mkdir()

    @property
    def runner_env(self) -> dict[str, str]:
        return {
            "QGJOB_WORKDIR": str(self.world.folder),
            "QGJOB_COURIER_SOCKET": str(self.folder / "socket/s"),
            "QGJOB_SECRETS_DIR": "/nowhere",
        }

    def target(self, driver: dict[str, Any], **spec: Any) -> None:
        self.world.target(
            driver=driver,
            app={"url": self.builds.url, "headersSecret": "builds"},
            source={"git": {"repository": self.git_url, "path": "e2e"}},
            gitCredentials=[{"urlPrefix": self.git_url.rpartition("/")[0] + "/", "secret": "git"}],
            artifacts={"persistentVolumeClaim": {"claimName": "reports"}},
            retry={"backoffSeconds": 0},
            **spec,
        )

    @contextmanager
    def courier(self, batch: str) -> Iterator[subprocess.Popen[bytes]]:
        """Its process, as the container has it."""
        arguments = ["--batch", f"{self.world.namespace}/{batch}", "--kubeconfig", str(self.account)]
        process = subprocess.Popen(
            [sys.executable, "-m", "testrunner.courier", *arguments],
            env={
                **os.environ,
                **self.runner_env,
                "QGJOB_SECRETS_DIR": str(self.folder / "secrets"),
                "QGJOB_ARTIFACTS_DIR": str(self.folder / "reports"),
            },
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def client(self) -> RemoteCourier:
        """Who talks to the courier: the runner, or a test that has found the socket."""
        return RemoteCourier(
            self.folder / "socket/s", self.world.folder, fetch_seconds=60.0, connect_seconds=30.0
        )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "served/team/tests")
    found.commit("one")
    return found


@pytest.fixture
def pod(
    crds: ThrowawayControlPlane, account: Path, namespace: str, tmp_path: Path, repository: Repository
) -> Iterator[Pod]:
    (tmp_path / "work").mkdir()
    world = World(crds.kubeconfig, namespace, tmp_path / "work")
    # Sockets have short paths.
    with (
        tempfile.TemporaryDirectory(prefix="pod-") as folder,
        Builds() as builds,
        git_server(tmp_path / "served") as git,
    ):
        yield Pod(world, account, Path(folder), builds, f"{git.url}/team/tests")


def test_a_batch_has_what_needs_credentials_by_its_courier(pod: Pod, repository: Repository) -> None:
    pod.target(command('cat "$QGJOB_APP_PATH" "$QGJOB_TEST" > seen; cp seen "$QGJOB_REPORT_DIR"; exit 1'))
    batch = pod.world.batch([pod.world.job("one", test="text", maxRetries=0)])

    with pod.courier(batch), pod.world.running(batch, kubeconfig=pod.account, env=pod.runner_env) as runner:
        assert runner.wait() == 0, runner.output

    (seen,) = (pod.folder / "reports").rglob("seen")
    assert seen.read_text() == "packageone"
    assert pod.world.status("one")["revision"] == repository.head
    assert KEY not in runner.output
    assert TOKEN not in runner.output


def test_a_retry_runs_the_commit_of_the_first_attempt(pod: Pod, repository: Repository) -> None:
    """In one process, as somebody has it on a laptop: the Secrets are in a folder."""
    pod.target(command("false"))
    job = pod.world.job("one", test="text")
    env = {
        "QGJOB_SECRETS_DIR": str(pod.folder / "secrets"),
        "QGJOB_ARTIFACTS_DIR": str(pod.folder / "reports"),
    }
    with pod.world.running(pod.world.batch([job]), env=env) as runner:
        assert runner.wait() == 0, runner.output
    first = pod.world.status("one")["revision"]
    newer = repository.commit("two")

    again = pod.world.client.get("testjobs", "one")
    with pod.world.running(pod.world.batch([again]), env=env) as runner:
        assert runner.wait() == 0, runner.output
    assert f"fetching {first} of" in runner.output
    assert pod.world.status("one")["revision"] == first

    other = pod.world.job("two", test="text")
    with pod.world.running(pod.world.batch([other]), env=env) as runner:
        assert runner.wait() == 0, runner.output
    assert pod.world.status("two")["revision"] == newer


def test_a_courier_that_is_killed_is_an_infrastructure_failure_with_a_clear_word(pod: Pod) -> None:
    pod.target(command("true"))
    batch = pod.world.batch([pod.world.job("one", test="text")])
    pod.builds.go_on.clear()

    with (
        pod.courier(batch) as courier,
        pod.world.running(batch, kubeconfig=pod.account, env=pod.runner_env) as runner,
    ):
        assert pod.builds.asked.wait(60)
        courier.kill()
        assert runner.wait() == 0, runner.output

    status = pod.world.status("one")
    assert (status["phase"], status["failures"], status["infrastructureFailures"]) == ("Retrying", 0, 1)
    assert "container `courier` ended in the middle of its work" in status["message"]
    assert pod.world.batch_status(batch)["reason"] == "AppDownloadFailed"


def test_a_wrong_secret_is_named_in_the_status(pod: Pod) -> None:
    pod.target(command("true"))
    (pod.folder / "secrets/app-headers/X-Api-Key").write_text("old")
    batch = pod.world.batch([pod.world.job("one", test="text")])

    with pod.courier(batch), pod.world.running(batch, kubeconfig=pod.account, env=pod.runner_env) as runner:
        assert runner.wait() == 0, runner.output

    assert "check the Secret builds" in pod.world.status("one")["message"]


def test_a_stop_reaches_the_courier(pod: Pod) -> None:
    pod.target(simulate())
    batch = pod.world.batch([pod.world.job("one")])
    pod.builds.go_on.clear()
    stop = StopToken()

    with pod.courier(batch):
        threading.Thread(target=lambda: (pod.builds.asked.wait(60), stop.request("cancelled"))).start()
        begun = time.monotonic()
        with pytest.raises(Stopped, match="cancelled"):
            pod.client().fetch_app(pod.world.folder / "app/app.apk", stop=stop, log=print)

        assert time.monotonic() - begun < 30
        assert not (pod.world.folder / "app/app.apk").exists()


REFUSED: dict[str, tuple[Callable[[Pod, RemoteCourier], Any], str]] = {
    "another repository": (
        lambda pod, courier: courier.fetch_git(
            GitSource(repository=pod.git_url.replace("tests", "secret-plans")),
            pod.world.folder / "out",
            stop=StopToken(),
            log=print,
        ),
        "no TestJob of this batch has its test files in",
    ),
    "a repository elsewhere": (
        lambda pod, courier: courier.fetch_git(
            GitSource(repository="http://127.0.0.1:1/team/tests"),
            pod.world.folder / "out",
            stop=StopToken(),
            log=print,
        ),
        "gitCredentials have none for",
    ),
    "a file outside": (
        lambda pod, courier: courier.fetch_app(
            pod.world.folder / "../../app.apk", stop=StopToken(), log=print
        ),
        "no path below the shared folder",
    ),
    "another attempt's artifacts": (
        lambda pod, courier: courier.store(
            f"{pod.world.namespace}/sim/2026-01-01/other-12345678/1/",
            pod.world.folder / "reports",
            stop=StopToken(),
            log=print,
        ),
        "no key of an attempt of this batch",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_courier_does_nothing_that_reaches_beyond_its_batch(pod: Pod, what: str) -> None:
    pod.target(simulate())
    batch = pod.world.batch([pod.world.job("one")])
    attempt, message = REFUSED[what]

    with pod.courier(batch), pytest.raises(InfrastructureError, match=message):
        attempt(pod, pod.client())


def test_a_repository_that_a_testjob_of_the_batch_names_is_fetched(pod: Pod, tmp_path: Path) -> None:
    Repository(tmp_path / "served/team/more").commit("more")
    more = pod.git_url.replace("tests", "more")
    pod.target(simulate())
    batch = pod.world.batch([pod.world.job("one", source={"git": {"repository": more}})])

    with pod.courier(batch):
        pod.client().fetch_git(
            GitSource(repository=more), pod.world.folder / "out", stop=StopToken(), log=print
        )

    assert (pod.world.folder / "out/e2e/text").read_text() == "more"


def test_a_courier_with_nothing_to_do_ends_at_once(pod: Pod) -> None:
    pod.target(simulate())
    batch = pod.world.batch([pod.world.job("one")])

    with pod.courier(batch) as courier:
        eventually((pod.folder / "socket/s").exists)
        begun = time.monotonic()
        courier.terminate()
        assert courier.wait(10) == 0
        assert time.monotonic() - begun < 2

    assert not (pod.folder / "socket/s").exists()


def test_a_runner_whose_courier_does_not_answer_says_where_to_look(pod: Pod) -> None:
    courier = RemoteCourier(
        pod.folder / "socket/s", pod.world.folder, fetch_seconds=60.0, connect_seconds=0.3
    )

    with pytest.raises(InfrastructureError, match="`kubectl logs POD -c courier`"):
        courier.fetch_app(pod.world.folder / "app.apk", stop=StopToken(), log=print)


def test_a_batch_that_is_gone_is_told(pod: Pod) -> None:
    pod.target(simulate())
    batch = pod.world.batch([pod.world.job("one")])
    pod.world.client.delete(TEST_BATCHES, batch)

    with pod.courier(batch), pytest.raises(InfrastructureError, match="is gone"):
        pod.client().fetch_app(pod.world.folder / "app.apk", stop=StopToken(), log=print)
