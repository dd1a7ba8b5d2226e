#!/usr/bin/env python3
"""Check manifests/: YAML that parses, resources of ours that their models take, kustomizations that are whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from qgjob.api.constants import API_VERSION
from qgjob.api.schema import RESOURCES

ROOT = Path(__file__).resolve().parent.parent / "manifests"
MODELS = {model.__name__: model for model in RESOURCES}


def problems(path: Path) -> list[str]:
    """What is wrong with one file."""
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    return [each for document in documents for each in (*_of_ours(document), *_of_kustomize(path, document))]


def _of_ours(document: dict[str, Any]) -> list[str]:
    if document.get("apiVersion") != API_VERSION:
        return []
    try:
        MODELS[document["kind"]].model_validate(document)
    except (KeyError, ValueError) as error:
        return [f"{document.get('kind')}: {error}"]
    return []


def _of_kustomize(path: Path, document: dict[str, Any]) -> list[str]:
    if document.get("kind") != "Kustomization":
        return []
    return [
        f"there is no {resource}"
        for resource in document.get("resources", ())
        if not (path.parent / resource).exists()
    ]


def main() -> int:
    """Print what is wrong; 1 when anything is."""
    files = sorted((*ROOT.rglob("*.yaml"), *ROOT.rglob("*.yml")))
    found = [f"{path.relative_to(ROOT.parent)}: {problem}" for path in files for problem in problems(path)]
    print("\n".join(found) or f"{len(files)} files are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
