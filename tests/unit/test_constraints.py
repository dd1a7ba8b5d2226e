"""constraints.txt pins everything that pyproject.toml asks for, at versions that it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
CONSTRAINTS = (REPOSITORY / "constraints.txt").read_text()
PINS = {
    canonicalize_name(match[1]): match[2]
    for match in re.finditer(r"^([\w.-]+)==(\S+)", CONSTRAINTS, re.MULTILINE)
}


def requirements() -> list[str]:
    project = PROJECT["project"]
    groups = (*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values())
    return [*project["dependencies"], *(requirement for group in groups for requirement in group)]


@pytest.mark.parametrize("text", requirements())
def test_a_requirement_is_pinned_at_a_version_that_it_allows(text: str) -> None:
    requirement = Requirement(text)

    version = PINS.get(canonicalize_name(requirement.name))

    assert version is not None, "run `make constraints`"
    assert requirement.specifier.contains(version), f"{version} is pinned: run `make constraints`"


def test_no_package_index_is_named() -> None:
    assert "://" not in CONSTRAINTS
