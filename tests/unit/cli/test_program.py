"""The program as a whole: its commands, its help, its completion, and what it imports."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from qgjob.cli.main import COMMANDS, app
from tests.unit.client.servers import answer, served

PROGRAM = Path(sys.executable).with_name("qgjob")
#: Modules that cost more than the rest of the program together.
HEAVY = ("pydantic", "rich", "kubernetes", "yaml", "asyncio", "urllib.request")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_short_help_is_the_first_line_of_the_command(name: str) -> None:
    module = importlib.import_module(f"qgjob.cli.commands.{COMMANDS[name].module}")
    help_text = get_command(module.app).help or ""

    assert help_text.splitlines()[0] == COMMANDS[name].help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_the_shared_options_after_its_name(name: str) -> None:
    arguments = [name, "replay", "--help"] if name == "dlq" else [name, "--help"]

    answer = CliRunner().invoke(app, arguments)

    assert answer.exit_code == 0
    for option in ("--kubeconfig", "--context", "--namespace", "--output", "--quiet"):
        assert option in answer.output


def test_a_mistyped_command_is_answered_with_the_right_one() -> None:
    answer = CliRunner().invoke(app, ["submti"])

    assert answer.exit_code == 2
    assert "Did you mean 'submit'?" in answer.output


def imported_by(*arguments: str) -> set[str]:
    """The modules that a run of the program imports."""
    code = (
        "import json, sys\n"
        "from qgjob.cli.main import app\n"
        f"sys.argv = ['qgjob', *{list(arguments)!r}]\n"
        "try:\n    app()\n"
        "except SystemExit:\n    pass\n"
        "except Exception as error:\n    print(repr(error), file=sys.stderr)\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    environment = {**os.environ, "KUBECONFIG": "/nowhere"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(run.stderr.splitlines()[-1]))


def kubeconfig(folder: Path, server: str) -> str:
    """The path of a kubeconfig for that server."""
    path = folder / "config"
    cluster = {"name": "c", "cluster": {"server": server}}
    context = {"name": "x", "context": {"cluster": "c"}}
    path.write_text(json.dumps({"current-context": "x", "clusters": [cluster], "contexts": [context]}))
    return str(path)


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["dlq", "--help"]])
def test_help_imports_neither_the_client_nor_anything_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments).isdisjoint({*HEAVY, "ssl", "http.client"})


def test_a_command_imports_nothing_heavy_before_its_request(tmp_path: Path) -> None:
    options = ["--org-id", "a", "--app-version-id", "b", "--test", "t", "--target", "x"]

    modules = imported_by("--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:1"), "submit", *options)

    assert "http.client" in modules
    assert modules.isdisjoint(HEAVY)


def test_the_program_is_installed_under_both_names() -> None:
    for name in ("qgjob", "kubectl-qgjob"):
        answer = subprocess.run(
            [PROGRAM.with_name(name), "--version"], capture_output=True, text=True, check=True
        )
        assert answer.stdout.startswith("qgjob 0.")


def test_a_login_page_in_place_of_the_cluster_is_infrastructure(tmp_path: Path) -> None:
    with served(lambda handler, _: answer(handler, 200, b"<html>Please log in</html>")) as url:
        run = subprocess.run(
            [PROGRAM, "--kubeconfig", kubeconfig(tmp_path, url), "wait", "ci-1"],
            capture_output=True,
            text=True,
            check=False,
        )

    assert run.returncode == 4
    assert run.stderr.startswith(f"qgjob: what answers at {url} (context x) is no Kubernetes API server")


def test_a_mistake_of_the_program_is_not_taken_for_a_failed_test() -> None:
    code = "from qgjob.cli import main\nmain.app = lambda: {}['x']\nmain.run()"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 4
    assert "Traceback" in run.stderr
    assert run.stderr.endswith("qgjob: this is a mistake in qgjob itself: please report it\n")


def test_completion_knows_the_commands() -> None:
    environment = {
        **os.environ,
        "_QGJOB_COMPLETE": "complete_bash",
        "COMP_WORDS": "qgjob sta",
        "COMP_CWORD": "1",
    }
    answer = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=environment)

    assert answer.stdout.split() == ["status"]


def test_completion_knows_the_options_of_a_command() -> None:
    environment = {
        **os.environ,
        "_QGJOB_COMPLETE": "complete_bash",
        "COMP_WORDS": "qgjob submit --so",
        "COMP_CWORD": "2",
    }
    answer = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=environment)

    assert answer.stdout.split() == ["--source-dir"]


def test_the_completion_script_can_be_shown() -> None:
    environment = {**os.environ, "_QGJOB_COMPLETE": "source_bash"}
    answer = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=environment)

    assert "complete -o default -F" in answer.stdout
