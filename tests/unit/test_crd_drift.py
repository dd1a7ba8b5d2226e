"""hack/generate_crds.py: crds/ is what the models say, and a difference is shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from hack import generate_crds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of crds/."""
    monkeypatch.setattr(generate_crds, "FOLDER", tmp_path / "crds")
    return tmp_path / "crds"


def generate(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["generate_crds.py", *arguments])
    return generate_crds.main()


def test_the_files_are_what_the_models_say() -> None:
    differences = "".join(generate_crds.drift(path, text) for path, text in generate_crds.wanted().items())

    assert differences == "", "run `make crds`"


def test_there_are_no_files_of_resources_that_are_gone() -> None:
    files = {path.name for path in generate_crds.FOLDER.glob("*.yaml")}

    assert files == {path.name for path in generate_crds.wanted()} | {"kustomization.yaml"}


def test_what_was_written_passes_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate(monkeypatch) == 0
    assert generate(monkeypatch, "--check") == 0
    assert len(list(folder.iterdir())) == 3


def test_the_check_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate(monkeypatch, "--check") == 1
    assert not folder.exists()


def test_the_check_shows_what_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(monkeypatch)
    file = folder / "testjobs.yaml"
    file.write_text(file.read_text().replace("maximum: 10\n", "maximum: 11\n", 1))

    assert generate(monkeypatch, "--check") == 1
    shown = capsys.readouterr()
    assert "-                maximum: 11\n+                maximum: 10\n" in shown.out
    assert "run `make crds`" in shown.err
