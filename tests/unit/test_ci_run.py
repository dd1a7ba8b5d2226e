"""`.ci/run` as a program, with stand-ins for the minutes of work that it calls."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / ".ci/run"
STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*" | sed 's/ *$//' >> calls
[ "$(basename "$0") $*" != "FAILING" ]
"""


def calls(folder: Path, failing: str) -> tuple[int, list[str]]:
    """The exit status of a run in which one call fails, and what was called."""
    for name in ("cluster", "lint", "test", "venv"):
        program = folder / "hack" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN.replace("FAILING", failing))
        program.chmod(0o755)
    (folder / ".ci").mkdir()
    shutil.copy(PROGRAM, folder / ".ci/run")
    run = subprocess.run(["bash", ".ci/run"], cwd=folder, capture_output=True, check=False)
    return run.returncode, (folder / "calls").read_text().splitlines()


def test_a_cluster_that_it_brought_up_is_removed(tmp_path: Path) -> None:
    assert calls(tmp_path, "cluster status") == (
        0,
        ["cluster status", "venv", "lint", "test", "cluster down"],
    )


def test_a_cluster_that_was_up_before_stays(tmp_path: Path) -> None:
    assert calls(tmp_path, "nothing") == (0, ["cluster status", "venv", "lint", "test"])


@pytest.mark.parametrize("failing", ["lint ", "test "])
def test_it_fails_with_any_part_and_runs_all(tmp_path: Path, failing: str) -> None:
    assert calls(tmp_path, failing) == (1, ["cluster status", "venv", "lint", "test"])
