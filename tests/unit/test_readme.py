"""The README's examples are what the resources and the program take, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from qgjob.api.testtarget import TestTargetSpec
from qgjob.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("target", [yaml.safe_load(text) for text in blocks("yaml")])
def test_every_target_is_valid(target: dict[str, Any]) -> None:
    assert target["kind"] == "TestTarget"

    TestTargetSpec.model_validate(target["spec"])


def test_every_kind_of_device_has_a_target() -> None:
    providers = {kind for text in blocks("yaml") for kind in yaml.safe_load(text)["spec"]["provider"]}

    assert providers == {"devices", "emulator", "browserstack"}


def test_every_link_into_the_repository_leads_to_a_file_and_a_heading() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


def test_commands_can_be_pasted_and_have_options_that_exist() -> None:
    for text in blocks("sh"):
        assert not re.search(r"^\$ ", text, re.MULTILINE)
        for command, rest in re.findall(r"^qgjob (\w+)(.*)$", text.replace("\\\n", " "), re.MULTILINE):
            known = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
            assert all(option in known for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)), rest
