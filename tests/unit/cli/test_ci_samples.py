"""The samples for CI systems are well formed and use what the program has; tests/apiserver runs their scripts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from qgjob.cli.main import app

MANIFESTS = Path(__file__).parents[3] / "manifests"


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((MANIFESTS / name).read_text())
    return document


def scripts() -> dict[str, str]:
    """Every piece of shell in the samples, by where it stands."""
    steps = read("ci/github-actions.yaml")["jobs"]["mobile-tests"]["steps"]
    [template] = read("argo/workflow-template.yaml")["spec"]["templates"]
    return {
        **{f"actions: {step['name']}": step["run"] for step in steps if "run" in step},
        "argo": template["script"]["source"],
    }


@pytest.mark.parametrize("where", sorted(scripts()))
def test_the_shell_is_well_formed(where: str) -> None:
    checked = subprocess.run(
        ["bash", "-n"], input=scripts()[where], capture_output=True, text=True, check=False
    )

    assert checked.stderr == ""


@pytest.mark.parametrize("where", sorted(scripts()))
def test_nothing_from_outside_gets_into_the_shells_text(where: str) -> None:
    assert "{{" not in scripts()[where]


@pytest.mark.parametrize("where", sorted(scripts()))
def test_the_options_are_those_of_the_program(where: str) -> None:
    joined = scripts()[where].replace("\\\n", " ")
    for command, line in re.findall(r"qgjob (submit|wait|cancel|report|artifacts)\b(.*)", joined):
        known = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        used = re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)
        assert all(option in known for option in used), (command, used)


def test_the_workflow_waits_three_minutes_and_may_only_read() -> None:
    workflow = read("ci/github-actions.yaml")

    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["mobile-tests"]["env"]["WAIT_SECONDS"] == "180"


def test_nothing_is_installed_by_name_from_a_public_index() -> None:
    """The package is in none, so its name there may be anybody's."""
    parameters = read("argo/workflow-template.yaml")["spec"]["arguments"]["parameters"]
    named = {each["name"]: each.get("value", "") for each in parameters}["qgjob-package"]

    for package in (named, read("ci/github-actions.yaml")["jobs"]["mobile-tests"]["env"]["QGJOB_PACKAGE"]):
        assert re.match(r"qgjob-operator\[s3] @ (git\+)?https://\S+$", package)


def test_what_is_left_behind_is_uploaded_whatever_came_of_the_tests() -> None:
    steps = {
        step["name"]: step for step in read("ci/github-actions.yaml")["jobs"]["mobile-tests"]["steps"][2:]
    }

    assert steps["Write the JUnit file"]["if"].startswith("${{ always()")
    assert steps["Upload the results"]["if"].startswith("${{ always()")
    assert steps["Upload the results"]["with"]["path"].split() == [".qgjob/junit.xml", ".qgjob/artifacts"]


def test_every_parameter_of_the_template_is_used_and_declared() -> None:
    spec = read("argo/workflow-template.yaml")["spec"]
    [template] = spec["templates"]
    declared = {parameter["name"] for parameter in spec["arguments"]["parameters"]}
    inputs = {parameter["name"] for parameter in template["inputs"]["parameters"]}
    used = set(re.findall(r"{{inputs\.parameters\.([a-z-]+)}}", str(template["script"])))

    assert declared == inputs == used


def test_every_variable_of_the_templates_script_is_given() -> None:
    [template] = read("argo/workflow-template.yaml")["spec"]["templates"]
    given = {variable["name"] for variable in template["script"]["env"]}
    needed = set(re.findall(r"\$([A-Z_]+)", template["script"]["source"]))

    assert needed <= given
