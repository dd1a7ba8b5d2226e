"""A batch at a simulated BrowserStack: waiting for a session, links in statuses, and nothing left open."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hack.browserstack import faults
from qgjob.api.constants import TEST_BATCHES, TEST_JOBS
from tests.apiserver.runner_support import World, eventually
from tests.unit.browserstack_support import ENVIRONMENT, SCRIPT, Running, package, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

TEST = "tests/a.spec.ts"


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def there() -> Iterator[Running]:
    with running(parallel=2, queue=2) as found:
        yield found


@pytest.fixture
def target(world: World, there: Running, tmp_path: Path) -> World:
    """A target whose tests open a session each, and leave it open."""
    package(tmp_path)
    source = tmp_path / "source" / "tests"
    source.mkdir(parents=True)
    for name in ("a", "b", "SLOW"):
        (source / f"{name}.spec.ts").write_text("")
    create(world, there, tmp_path, app={"url": f"file://{tmp_path}/{{appVersionId}}.apk"})
    return world


def create(world: World, there: Running, folder: Path, **spec: Any) -> None:
    world.target(
        provider={"browserstack": there.provider().to_wire()},
        driver={"name": "command", "command": {"test": [sys.executable, str(SCRIPT)]}},
        source={"image": {"path": str(folder / "source")}},
        **spec,
    )


def attempt(world: World, job: str) -> dict[str, Any]:
    last: dict[str, Any] = world.status(job)["attempts"][-1]
    return last


def test_two_testjobs_share_an_upload_and_have_links_to_their_sessions(target: World, there: Running) -> None:
    jobs = [target.job(name, appVersionId="1.4.0", test=f"tests/{name}.spec.ts") for name in ("a", "b")]
    with target.running(target.batch(jobs), env=ENVIRONMENT) as runner:
        assert runner.wait() == 0, runner.output

    assert (there.count("upload"), there.count("session-open"), there.cloud.state()["open"]) == (1, 2, [])
    for name in ("a", "b"):
        assert target.phase(name) == "Succeeded", runner.output
        found = attempt(target, name)
        assert found["session"].startswith(f"{there.url}/builds/tb-")
        assert "/video" in found["video"]
        assert found["device"] == "Google Pixel 8 (14.0)"


def test_batches_that_begin_together_share_one_upload(target: World, there: Running) -> None:
    there.cloud.parallel = 4
    batches = [
        target.batch([target.job(f"job-{number}", appVersionId="1.4.0", test=TEST)]) for number in range(3)
    ]
    runners = [target.start(batch, env=ENVIRONMENT) for batch in batches]
    try:
        assert [runner.wait() for runner in runners] == [0, 0, 0]
    finally:
        for runner in runners:
            runner.kill()

    assert [target.phase(f"job-{number}") for number in range(3)] == ["Succeeded"] * 3
    assert (there.count("upload"), there.cloud.state()["open"]) == (1, [])


def test_a_batch_waits_while_others_have_all_sessions_and_says_so(target: World, there: Running) -> None:
    there.cloud.set_others(2, 1)
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    with target.running(batch, env=ENVIRONMENT) as runner:
        said = "waits for a free session at BrowserStack: 2 of 2 sessions are taken, 1 more wait"
        eventually(lambda: target.batch_status(batch).get("message") == said, lambda: runner.output)
        assert target.batch_status(batch)["phase"] == "Installing"
        assert (target.phase("a"), there.count("upload")) == ("Scheduled", 0)

        there.cloud.set_others(0, 0)
        assert runner.wait() == 0, runner.output

    assert target.phase("a") == "Succeeded"
    assert target.batch_status(batch)["message"] == ""
    assert "a session is free at BrowserStack" in runner.output


def test_what_is_cancelled_while_it_waits_ends_at_once(target: World, there: Running) -> None:
    there.cloud.set_others(2, 0)
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    with target.running(batch, env=ENVIRONMENT) as runner:
        runner.wait_for_line("waits for a free session")
        target.set_spec(TEST_JOBS, "a", cancel=True)
        assert runner.wait() == 0, runner.output

    assert target.phase("a") == "Cancelled"
    assert target.batch_status(batch)["reason"] == "NothingToRun"


def test_a_batch_that_waits_makes_room_when_it_is_asked_to(target: World, there: Running) -> None:
    there.cloud.set_others(2, 0)
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    with target.running(batch, env=ENVIRONMENT) as runner:
        runner.wait_for_line("waits for a free session")
        target.set_spec(TEST_BATCHES, batch, **{"yield": True})
        assert runner.wait() == 0, runner.output

    status = target.status("a")
    assert (status["phase"], status.get("infrastructureFailures", 0)) == ("Pending", 0)
    assert target.batch_status(batch)["phase"] == "Yielded"


def test_a_full_queue_costs_the_testjob_nothing(target: World, there: Running) -> None:
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    there.cloud.set_fault(faults.parse("queue-full:1"))
    with target.running(batch, env=ENVIRONMENT) as runner:
        assert runner.wait() == 0, runner.output

    status = target.status("a")
    assert (status["phase"], status.get("failures", 0), status.get("infrastructureFailures", 0)) == (
        "Succeeded",
        0,
        0,
    )
    assert len(status["attempts"]) == 1
    assert there.count("session-refused") == 1


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ("unauthorized", "CredentialsRefused", "check the Secret account"),
        ("upload:quota exceeded", "UploadRefused", "quota exceeded"),
    ],
)
def test_what_fails_before_the_first_test_says_why_and_costs_no_retry(
    target: World, there: Running, fault: str, reason: str, words: str
) -> None:
    there.cloud.set_fault(faults.parse(fault))
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    with target.running(batch, env=ENVIRONMENT) as runner:
        assert runner.wait() == 0, runner.output

    status = target.status("a")
    assert (status["phase"], status["reason"], status.get("failures", 0)) == ("Retrying", reason, 0)
    assert words in status["message"]
    assert target.batch_status(batch)["reason"] == reason


def test_a_version_that_was_never_uploaded_is_a_dead_letter_at_once(
    world: World, there: Running, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    create(world, there, tmp_path, app={"customId": "shop-{appVersionId}"})
    batch = world.batch([world.job("a", appVersionId="9.9.9", test=TEST)])
    with world.running(batch, env=ENVIRONMENT) as runner:
        assert runner.wait() == 0, runner.output

    status = world.status("a")
    assert (status["phase"], status["reason"]) == ("DeadLettered", "AppVersionNotFound")
    assert "shop-9.9.9" in status["message"]


@pytest.mark.parametrize("end", ["cancel", "sigterm"])
def test_a_test_that_is_stopped_leaves_no_session_open(target: World, there: Running, end: str) -> None:
    batch = target.batch([target.job("a", appVersionId="1.4.0", test="tests/SLOW.spec.ts")])
    with target.running(batch, env=ENVIRONMENT) as runner:
        runner.wait_for_line("opened ")
        if end == "cancel":
            target.set_spec(TEST_JOBS, "a", cancel=True)
        else:
            runner.terminate()
        assert runner.wait() == 0, runner.output

    assert (there.count("session-open"), there.cloud.state()["open"]) == (1, [])
    assert target.phase("a") == ("Cancelled" if end == "cancel" else "Retrying")


def test_the_access_key_is_neither_in_the_log_nor_in_a_status(target: World, there: Running) -> None:
    secrets = {"BROWSERSTACK_USERNAME": "team-user", "BROWSERSTACK_ACCESS_KEY": "team-access-key"}
    batch = target.batch([target.job("a", appVersionId="1.4.0", test=TEST)])
    with target.running(batch, env=secrets) as runner:
        assert runner.wait() == 0, runner.output

    said = runner.output + str(target.status("a")) + str(target.batch_status(batch))
    assert "refuses the credentials" in said, "this cloud knows other ones"
    assert "team-access-key" not in said


def test_the_courier_closes_what_a_killed_runner_left_open(
    target: World, there: Running, tmp_path: Path
) -> None:
    batch = target.batch([target.job("a", appVersionId="1.4.0", test="tests/SLOW.spec.ts")])
    arguments = ["--batch", f"{target.namespace}/{batch}", "--kubeconfig", str(target.kubeconfig)]
    own = {"QGJOB_COURIER_SOCKET": str(tmp_path / "s")}
    with target.running(batch, env=ENVIRONMENT) as runner:
        runner.wait_for_line("opened ")
        # The runner's own folder, one level above the batch's.
        folder = str(next(path for path in tmp_path.glob("*/tb-*")).parent)
        courier = subprocess.Popen(
            [sys.executable, "-m", "testrunner.courier", *arguments],
            env={**os.environ, **ENVIRONMENT, **own, "QGJOB_WORKDIR": folder},
            stdin=subprocess.DEVNULL,
        )
        eventually((tmp_path / "s").exists)
        runner.kill()
        assert len(there.cloud.state()["open"]) == 1

        courier.terminate()
        assert courier.wait(30) == 0

    assert there.cloud.state()["open"] == []
    assert list(there.cloud.state()["statuses"].values()) == ["failed"]
