"""The shell of the samples for CI systems, run as those systems run it, with the real program."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.apiserver.cli_support import Operator, Running
from tests.apiserver.stored_support import Stored, put

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane
    from hack.s3server import S3Server

MANIFESTS = Path(__file__).parents[2] / "manifests"


class Workflow:
    """The steps of the GitHub workflow, each run by bash as GitHub's runner does it."""

    def __init__(self, folder: Path, operator: Operator, kubeconfig: Path) -> None:
        document = yaml.safe_load((MANIFESTS / "ci/github-actions.yaml").read_text())
        job = document["jobs"]["mobile-tests"]
        self._steps = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
        self.folder = folder
        self.summary = folder / "summary.md"
        # What the runner makes of the expressions.
        values = {
            "github.workspace": str(folder),
            "github.repository_owner": "acme",
            "github.sha": "0f1e2d3c",
        }
        declared = {
            name: re.sub(r"\$\{\{ ([a-z_.]+) \}\}", lambda match: values[match[1]], str(value))
            for name, value in job["env"].items()
        }
        self._environment = {
            **os.environ,
            **declared,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "QGJOB_NAMESPACE": operator.namespace,
            "GITHUB_RUN_ID": "42",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "CONTENT": kubeconfig.read_text(),
        }

    def start(self, step: str) -> Running:
        process = subprocess.Popen(
            ["bash", "-e", "-c", self._steps[step]],
            cwd=self.folder,
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return Running(process)

    def run(self, step: str) -> None:
        answer = self.start(step).end()
        assert answer.code == 0, answer.stderr


@pytest.fixture
def workflow(crds: ThrowawayControlPlane, operator: Operator, tmp_path: Path) -> Workflow:
    for name in ("tests/login.spec.ts", "tests/cart/cart.spec.ts"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    workflow = Workflow(tmp_path, operator, crds.kubeconfig)
    for step in ("Install qgjob", "Write the kubeconfig", "Queue the tests"):
        workflow.run(step)
    return workflow


def cases(junit: Path) -> dict[str, list[str]]:
    """The cases of a JUnit file, and what each holds."""
    found = ET.parse(junit).getroot().iter("testcase")
    return {str(case.get("name")): [child.tag for child in case] for case in found}


def by_test(operator: Operator) -> dict[str, str]:
    return {job["spec"]["test"]: job["metadata"]["name"] for job in operator.jobs()}


def test_the_workflow_queues_every_test_once_however_often_it_is_run(
    workflow: Workflow, operator: Operator
) -> None:
    before = by_test(operator)
    workflow.run("Queue the tests")

    assert set(before) == {"tests/login.spec.ts", "tests/cart/cart.spec.ts"}
    assert by_test(operator) == before


def test_the_kubeconfig_is_never_sent_along(workflow: Workflow, operator: Operator) -> None:
    [source] = [
        each
        for each in operator.client.list("configmaps", api_version="v1")
        if each["metadata"]["name"].startswith("qgjob-src-")
    ]
    archive = workflow.folder / "source.tar.gz"
    archive.write_bytes(base64.b64decode(source["binaryData"]["source.tar.gz"]))
    listed = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=True).stdout

    assert listed.split() == ["tests/cart/cart.spec.ts", "tests/login.spec.ts"]


def test_the_build_passes_when_all_tests_pass(workflow: Workflow, operator: Operator) -> None:
    for job in by_test(operator).values():
        operator.run_to(job, "passed")

    answer = workflow.start("Wait for them").end()

    assert answer.code == 0
    assert "::error" not in answer.stdout


def test_the_build_fails_and_says_which_test_and_why(workflow: Workflow, operator: Operator) -> None:
    jobs = by_test(operator)
    waiting = workflow.start("Wait for them")
    waiting.until("Waiting in queue")
    operator.run_to(jobs["tests/login.spec.ts"], "passed")
    for _ in range(4):
        operator.run_to(jobs["tests/cart/cart.spec.ts"], "failed", "Expected 100% | got 3")

    answer = waiting.end()
    workflow.run("Summarize")

    assert answer.code == 1
    assert answer.stdout == (
        "::error title=Mobile tests::qgjob: FAILED: 1 of 2 tests: tests/cart/cart.spec.ts (job "
        f"{jobs['tests/cart/cart.spec.ts']}) failed 4 times: Expected 100%25 | got 3\n"
    )
    rows = workflow.summary.read_text().splitlines()
    assert rows[0] == "| Test | Result | Why | Job |"
    assert any(
        row.startswith(r"| tests/cart/cart.spec.ts | failed | Failed 4 times: Expected 100% \| got 3 |")
        for row in rows
    )


def test_a_junit_file_is_written_whatever_came_of_the_tests(workflow: Workflow, operator: Operator) -> None:
    jobs = by_test(operator)
    operator.run_to(jobs["tests/login.spec.ts"], "passed")
    operator.run_to(jobs["tests/cart/cart.spec.ts"], "failed", "no such file", final_reason="TestNotFound")
    assert workflow.start("Wait for them").end().code == 2

    workflow.run("Write the JUnit file")
    workflow.run("Fetch what failed tests left behind")

    assert cases(workflow.folder / ".qgjob/junit.xml") == {
        "tests/login.spec.ts": [],
        "tests/cart/cart.spec.ts": ["error"],
    }
    assert not (workflow.folder / ".qgjob/artifacts").exists()


@pytest.mark.usefixtures("secret")
def test_what_failed_tests_left_behind_is_fetched(
    workflow: Workflow, operator: Operator, bucket: Stored, s3: S3Server
) -> None:
    jobs = by_test(operator)
    put(s3, bucket.attempt(jobs["tests/login.spec.ts"], "passed"), log_txt="fine")
    put(s3, bucket.attempt(jobs["tests/cart/cart.spec.ts"], "infrastructure", "phone lost"), log_txt="broken")
    assert workflow.start("Wait for them").end().code == 4

    workflow.run("Fetch what failed tests left behind")

    folder = workflow.folder / ".qgjob/artifacts"
    assert [path.relative_to(folder) for path in folder.glob("*/*")] == [
        Path(jobs["tests/cart/cart.spec.ts"], "log.txt")
    ]


def test_a_cancelled_build_cancels_its_tests(workflow: Workflow, operator: Operator) -> None:
    workflow.run("Cancel what nobody waits for any more")

    assert all(job["spec"]["cancel"] for job in operator.jobs())


def run_template(operator: Operator, kubeconfig: Path, folder: Path, **parameters: str) -> Running:
    """Run the Argo template's script with its parameters filled in."""
    document = yaml.safe_load((MANIFESTS / "argo/workflow-template.yaml").read_text())
    [template] = document["spec"]["templates"]
    values: dict[str, Any] = {
        parameter["name"]: parameter.get("value", "")
        for parameter in document["spec"]["arguments"]["parameters"]
    }
    values |= {name.replace("_", "-"): value for name, value in parameters.items()}
    values |= {"qgjob-namespace": operator.namespace}

    def fill(text: str) -> str:
        text = text.replace("{{workflow.uid}}", "5d3c1a7e-uid")
        return re.sub(r"{{inputs\.parameters\.([a-z-]+)}}", lambda match: values[match[1]], text)

    environment = {
        **os.environ,
        **{variable["name"]: fill(variable["value"]) for variable in template["script"]["env"]},
        "FOLDER": str(folder),
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        [*template["script"]["command"], "-c", template["script"]["source"]],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Running(process)


def test_the_argo_template_submits_waits_and_fails_with_the_test(
    crds: ThrowawayControlPlane, operator: Operator, tmp_path: Path
) -> None:
    running = run_template(
        operator,
        crds.kubeconfig,
        tmp_path,
        app_version_id="1.4.2",
        tests="tests/a.spec.ts\n\ntests/b.spec.ts; echo never",
        git_repository="https://example.com/app.git",
    )
    running.until("Waiting in queue")
    jobs = by_test(operator)
    operator.run_to(jobs["tests/a.spec.ts"], "passed")
    for _ in range(4):
        operator.run_to(jobs["tests/b.spec.ts; echo never"], "failed", "no button")

    answer = running.end()

    assert answer.code == 1
    assert "FAILED: 1 of 2 tests: tests/b.spec.ts; echo never (job argo-5d3c1a7e-uid-" in answer.last_line
    results = json.loads((tmp_path / "results.json").read_text())
    assert [result["status"] for result in results] == ["completed", "failed"]
    sources = [job["spec"]["source"]["git"]["repository"] for job in operator.jobs()]
    assert sources == ["https://example.com/app.git"] * 2
    assert cases(tmp_path / "junit.xml") == {
        "tests/a.spec.ts": [],
        "tests/b.spec.ts; echo never": ["failure", "rerunFailure", "rerunFailure", "rerunFailure"],
    }


@pytest.mark.usefixtures("secret")
def test_the_argo_template_fetches_what_failed_tests_left_behind(
    crds: ThrowawayControlPlane, operator: Operator, bucket: Stored, s3: S3Server, tmp_path: Path
) -> None:
    running = run_template(operator, crds.kubeconfig, tmp_path, app_version_id="1", tests="a.ts\nb.ts")
    running.until("Waiting in queue")
    jobs = by_test(operator)
    put(s3, bucket.attempt(jobs["a.ts"], "passed"), log_txt="fine")
    put(s3, bucket.attempt(jobs["b.ts"], "failed", "no", final_reason="SourceInvalid"), log_txt="broken")

    answer = running.end()

    assert answer.code == 2
    assert answer.last_line.startswith("qgjob: INVALID: 1 of 2 tests: b.ts")
    fetched = [path.relative_to(tmp_path) for path in tmp_path.glob("artifacts/*/*")]
    assert fetched == [Path("artifacts", jobs["b.ts"], "log.txt")]


def test_an_argo_step_whose_submission_is_refused_ends_with_its_words(
    crds: ThrowawayControlPlane, operator: Operator, tmp_path: Path
) -> None:
    answer = run_template(
        operator, crds.kubeconfig, tmp_path, app_version_id="1", tests="a.ts", priority="11"
    ).end()

    assert answer.code == 2
    assert "priority must be between 1 and 10" in answer.last_line
    assert not (tmp_path / "junit.xml").exists()
