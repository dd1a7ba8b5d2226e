#!/usr/bin/env python3
"""Write crds/*.yaml from the models in qgjob/api. `--check` writes nothing and fails where they differ."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import yaml

from qgjob.api.schema import RESOURCES, crd

FOLDER = Path(__file__).resolve().parent.parent / "crds"
HEADER = "# Generated from qgjob/api by hack/generate_crds.py (make crds); do not edit.\n"


def wanted() -> dict[Path, str]:
    """The files as they should be."""
    return {
        FOLDER / f"{model.PLURAL}.yaml": HEADER + yaml.safe_dump(crd(model), sort_keys=False, width=110)  # type: ignore[attr-defined]
        for model in RESOURCES
    }


def drift(path: Path, text: str) -> str:
    """How the file differs from `text`; empty where it does not."""
    old = path.read_text() if path.exists() else ""
    lines = difflib.unified_diff(old.splitlines(True), text.splitlines(True), str(path), "from the models")
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where crds/ differs from the models")
    check = parser.parse_args().check
    files = wanted()
    if check:
        differences = [text for path in files if (text := drift(path, files[path]))]
        sys.stdout.writelines(differences)
        if differences:
            print("crds/ is not what the models say: run `make crds`", file=sys.stderr)
        return 1 if differences else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
