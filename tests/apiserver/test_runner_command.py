"""The `command` driver in a whole batch: each label, test failure or infrastructure, by a real fault."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import subprocess
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest

from tests.apiserver.runner_support import World, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

PASS = """echo '<testsuite name="s"><testcase name="shows the cart"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml";"""
FAIL = """cat > "$QGJOB_REPORT_DIR/r.xml" <<'XML'
<testsuite name="s">
  <testcase name="a"/>
  <testcase name="logs in"><failure message="expected Home, got Login"/></testcase>
</testsuite>
XML
"""


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL that it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def attempt(world: World, job: str) -> dict[str, object]:
    attempts: list[dict[str, object]] = world.status(job)["attempts"]
    return attempts[-1]


def test_a_passing_report_passes(world: World) -> None:
    world.target(driver=command(PASS))

    world.run(world.batch([world.job("one")]))

    assert world.phase("one") == "Succeeded"
    assert attempt(world, "one")["cases"] == 1


@pytest.mark.parametrize(
    ("script", "outcome", "message"),
    [
        pytest.param(
            FAIL + "exit 1", "failed", "1 of 2 failed: logs in: expected Home, got Login", id="failed"
        ),
        pytest.param(FAIL, "failed", "1 of 2 failed", id="failed but exit 0"),
        pytest.param("echo boom; exit 1", "failed", "ended with exit code 1: boom", id="no report"),
        pytest.param("exit 0", "failed", "no test case was reported", id="ran nothing"),
        pytest.param(
            'echo "<testsuite><testc" > "$QGJOB_REPORT_DIR/r.xml"', "failed", "can't be read", id="cut report"
        ),
        pytest.param("sleep 600", "failed", "timed out after 2 s", id="hangs"),
        pytest.param("no-such-framework", "infrastructure", "a program was not found", id="program missing"),
        pytest.param("kill -9 $$", "infrastructure", "signal SIGKILL (out of memory?)", id="killed"),
        pytest.param("sh -c 'kill -9 $$'; exit 137", "infrastructure", "signal SIGKILL", id="killed inside"),
        pytest.param("exit 42", "infrastructure", "exit code 42", id="marked exit code"),
        pytest.param(
            "echo 'adb: device offline'; " + FAIL + "exit 1",
            "infrastructure",
            "adb: device offline",
            id="marked output",
        ),
    ],
)
def test_each_end_of_a_command_has_its_label(world: World, script: str, outcome: str, message: str) -> None:
    driver = command(
        script, infrastructureExitCodes=[42], infrastructurePatterns=["device (offline|not found)"]
    )
    world.target(driver=driver)

    world.run(world.batch([world.job("one", timeoutSeconds=2)]))

    assert attempt(world, "one")["outcome"] == outcome
    assert message in str(attempt(world, "one")["message"])


def test_a_program_that_the_image_lacks_is_infrastructure(world: World) -> None:
    world.target(driver={"name": "command", "command": {"test": ["maestro", "test"]}})

    world.run(world.batch([world.job("one")]))

    assert attempt(world, "one")["outcome"] == "infrastructure"
    assert "'maestro' can't be started" in str(attempt(world, "one")["message"])


def test_the_app_is_installed_once_and_cleared_between_tests(world: World) -> None:
    driver = command(PASS, install=["echo", "INSTALL"], clear=["echo", "CLEAR"])
    world.target(driver=driver)
    batch = world.batch([world.job("one"), world.job("two"), world.job("three", isolation="reinstall")])

    lines = world.run(batch).output.splitlines()

    steps = [line for line in lines if line in ("INSTALL", "CLEAR") or line.startswith("::qgjob:: begin")]
    assert steps == [
        "INSTALL",
        "::qgjob:: begin one attempt=1",
        "::qgjob:: begin two attempt=1",
        "CLEAR",
        "::qgjob:: begin three attempt=1",
        "INSTALL",
    ]


def test_an_install_that_fails_is_infrastructure_for_all(world: World) -> None:
    driver = command(PASS, install=["sh", "-c", "echo 'INSTALL_FAILED_NO_SPACE'; exit 1"])
    world.target(driver=driver)
    batch = world.batch([world.job("one"), world.job("two")])

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "InstallFailed"
    for job in ("one", "two"):
        assert attempt(world, job)["outcome"] == "infrastructure"
        assert "INSTALL_FAILED_NO_SPACE" in str(attempt(world, job)["message"])


def test_a_clear_that_fails_costs_only_that_test(world: World) -> None:
    world.target(driver=command(PASS, clear=["sh", "-c", "echo 'pm: no such package'; exit 1"]))

    world.run(world.batch([world.job("one"), world.job("two")]))

    assert world.phase("one") == "Succeeded"
    assert "pm: no such package" in str(attempt(world, "two")["message"])
    assert attempt(world, "two")["outcome"] == "infrastructure"


def test_the_app_is_downloaded_once(world: World, files: tuple[Path, str]) -> None:
    folder, url = files
    (folder / "shop-v1.apk").write_bytes(b"package")
    script = 'test "$(cat "$QGJOB_APP_PATH")" = package || exit 1; ' + PASS
    world.target(driver=command(script), app={"url": url + "/shop-{appVersionId}.apk"})
    batch = world.batch([world.job("one"), world.job("two")])

    runner = world.run(batch)

    assert [world.phase("one"), world.phase("two")] == ["Succeeded", "Succeeded"]
    assert runner.output.count("downloaded app version v1: 7 bytes") == 1


def test_messages_have_paths_in_the_source_and_none_of_the_pod(world: World) -> None:
    world.client.create(
        "configmaps",
        {"metadata": {"name": "files"}, "binaryData": {"source.tar.gz": packed({"tests/a.spec.ts": "ok"})}},
        api_version="v1",
    )
    world.target(driver=command('echo "$PWD/$QGJOB_TEST:3: no button (see $QGJOB_REPORT_DIR/x.png)"; exit 1'))
    job = world.job("one", test="tests/a.spec.ts", source={"configMap": {"name": "files"}})

    runner = world.run(world.batch([job]))

    said = str(attempt(world, "one")["message"])
    assert said.startswith(
        "ended with exit code 1: tests/a.spec.ts:3: no button (see reports/0001-one/x.png)"
    )
    assert str(world.folder) not in said
    assert f"{world.folder}/" in runner.output  # the log has them as they were


def test_an_app_version_that_does_not_exist_ends_all_of_it_at_once(
    world: World, files: tuple[Path, str]
) -> None:
    world.target(driver=command(PASS), app={"url": files[1] + "/{appVersionId}.apk"})
    batch = world.batch([world.job("one"), world.job("two")])

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "AppVersionNotFound"
    for job in ("one", "two"):
        assert (world.phase(job), world.status(job)["reason"]) == ("DeadLettered", "AppVersionNotFound")
        assert world.status(job).get("failures", 0) == 0


def test_an_app_that_is_too_large_is_the_submitters_matter(world: World, files: tuple[Path, str]) -> None:
    folder, url = files
    (folder / "v1.apk").write_bytes(b"x" * 1000)
    world.target(driver=command(PASS), app={"url": url + "/{appVersionId}.apk", "maxBytes": 999})

    world.run(world.batch([world.job("one")]))

    assert world.status("one")["reason"] == "AppTooLarge"


def test_an_app_server_that_is_down_is_infrastructure(world: World) -> None:
    world.target(
        driver=command(PASS),
        app={"url": "http://127.0.0.1:1/{appVersionId}.apk"},
        timeouts={"installSeconds": 2},
    )
    batch = world.batch([world.job("one")])

    world.run(batch)

    assert world.batch_status(batch)["reason"] == "AppDownloadFailed"
    assert attempt(world, "one")["outcome"] == "infrastructure"


def test_test_files_from_a_config_map(world: World) -> None:
    world.client.create(
        "configmaps",
        {"metadata": {"name": "files"}, "binaryData": {"source.tar.gz": packed({"flows/login.yaml": "ok"})}},
        api_version="v1",
    )
    world.target(driver=command('grep -q ok "$QGJOB_TEST" || exit 1; ' + PASS))
    source = {"configMap": {"name": "files"}}
    jobs = [
        world.job("there", test="flows/login.yaml", source=source),
        world.job("missing", test="flows/logout.yaml", source=source),
        world.job("no-source", test="flows/login.yaml", source={"configMap": {"name": "nothing"}}),
    ]

    world.run(world.batch(jobs))

    assert world.phase("there") == "Succeeded"
    missing = world.status("missing")
    assert (missing["phase"], missing["reason"]) == ("DeadLettered", "TestNotFound")
    no_source = world.status("no-source")
    assert (no_source["phase"], no_source["reason"]) == ("DeadLettered", "SourceInvalid")
    assert "there is no ConfigMap" in no_source["message"]


def test_a_target_whose_own_source_is_wrong_is_infrastructure(world: World) -> None:
    world.target(driver=command(PASS), source={"image": {"path": "/no/such/folder"}})
    batch = world.batch([world.job("one")])

    world.run(batch)

    assert attempt(world, "one")["outcome"] == "infrastructure"
    assert world.batch_status(batch)["reason"] == "SourceFailed"


def test_nothing_that_leads_to_the_cluster_reaches_a_test(world: World) -> None:
    world.target(driver=command("env; " + PASS), env=[{"name": "SHARED", "value": "yes"}])
    batch = world.batch([world.job("one", env=[{"name": "OWN", "value": "too"}])])

    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": "/secret", "GIT_PASSWORD": "hunter2"}
    with world.running(batch, env=env) as runner:
        assert runner.wait() == 0, runner.output

    assert "SHARED=yes" in runner.output
    assert "OWN=too" in runner.output
    assert "QGJOB_JOB_ID=one" in runner.output
    assert "KUBE" not in runner.output
    assert "hunter2" not in runner.output


def test_git_has_the_whole_environment_of_the_pod(world: World, tmp_path: Path) -> None:
    repository = tmp_path / "shop"
    repository.mkdir()
    (repository / "a.spec.ts").touch()
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tests"]):
        identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)
    world.target(driver=command(PASS), source={"git": {"repository": "https://git.example.com/shop"}})
    batch = world.batch([world.job("one", test="a.spec.ts")])

    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{tmp_path}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://git.example.com/",
    }
    with world.running(batch, env=env) as runner:
        assert runner.wait() == 0, runner.output

    assert world.phase("one") == "Succeeded"


def test_a_test_that_prints_frames_does_not_end_its_own_part(world: World) -> None:
    world.target(driver=command("echo '::qgjob:: end one attempt=1 outcome=passed'; exit 1"))

    lines = world.run(world.batch([world.job("one")])).output.splitlines()

    assert [line for line in lines if line.startswith("::qgjob:: end")] == [
        "::qgjob:: end one attempt=1 outcome=failed"
    ]


def packed(files: dict[str, str]) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return base64.b64encode(buffer.getvalue()).decode()
