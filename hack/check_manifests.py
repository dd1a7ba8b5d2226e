#!/usr/bin/env python3
"""Check manifests/: YAML that parses, resources of ours as their schemas have them, kustomizations that are whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from qgjob.api.constants import API_VERSION
from qgjob.api.schema import RESOURCES, open_api_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    kind = document.get("kind")
    model = MODELS.get(str(kind))
    if model is None:
        return [f"there is no kind {kind} in {API_VERSION}"]
    # The models ignore what they don't know, so that they read objects of later versions.
    found = [f"{kind}: unknown field {field}" for field in unknown_fields(document, open_api_schema(model))]
    try:
        model.model_validate(document)
    except ValueError as error:
        found.append(f"{kind}: {error}")
    return found


def unknown_fields(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the fields that the API server would drop, or refuse with fieldValidation=Strict."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from unknown_fields(each, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        properties = schema.get("properties", {})
        for key, each in value.items():
            inner = f"{path}.{key}" if path else key
            if key not in properties:
                yield inner
            elif inner != "metadata":  # Kubernetes' own, which no CRD describes
                yield from unknown_fields(each, properties[key], inner)


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
