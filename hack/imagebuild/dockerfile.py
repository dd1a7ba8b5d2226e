"""What an image is made of, read from the Dockerfile itself: its stages, the files they copy, and a hash of both."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", ".mypy_cache", ".ruff_cache"})
IGNORED_SUFFIXES = frozenset({".pyc"})


@dataclass(frozen=True)
class Stage:
    """One `FROM … AS name` and what follows it."""

    name: str
    base: str  # another stage's name, or an image
    instructions: tuple[str, ...]  # whole ones: comments gone, continued lines joined

    def copied_stages(self) -> set[str]:
        """Names of the stages that it copies from."""
        found = (re.search(r"--from=(\S+)", line) for line in self.instructions)
        return {match[1] for match in found if match}

    def copied_paths(self) -> set[str]:
        """Paths of the build context that it copies."""
        paths: set[str] = set()
        for line in self.instructions:
            keyword, *words = line.split()
            if keyword.upper() not in ("COPY", "ADD") or any(word.startswith("--from=") for word in words):
                continue
            *sources, _ = (word for word in words if not word.startswith("--"))
            paths.update(source.rstrip("/") for source in sources)
        return paths


def parse(text: str) -> dict[str, Stage]:
    """Return the stages by name, in order. What stands before the first FROM belongs to none."""
    stages: dict[str, Stage] = {}
    name, base, body = "", "", list[str]()
    for line in (*_instructions(text), "FROM end AS end"):
        start = re.fullmatch(r"FROM\s+(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
        if start is None:
            body.append(line)
            continue
        if base:
            stages[name] = Stage(name, base, tuple(body))
        base, name, body = start[1], start[2] or str(len(stages)), []
    return stages


def needed_stages(stages: dict[str, Stage], target: str) -> list[Stage]:
    """Return the target's stage and all that it is built from. Raises KeyError for an unknown target."""
    needed: dict[str, Stage] = {}
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        stage = needed[name] = stages[name]
        waiting += [other for other in sorted({stage.base, *stage.copied_stages()}) if other in stages]
    return [stage for stage in stages.values() if stage.name in needed]


def content_hash(root: Path, stages: dict[str, Stage], target: str) -> str:
    """Return a hash of everything in the checkout that the target's image is built from."""
    digest = hashlib.sha256()
    needed = needed_stages(stages, target)
    for stage in needed:
        digest.update(f"{stage.name}\0{stage.base}\0".encode())
        digest.update("\n".join(stage.instructions).encode())
    for path in sorted(set().union(*(stage.copied_paths() for stage in needed))):
        for file in _files(root / path):
            mode = "x" if file.stat().st_mode & 0o111 else "-"
            digest.update(f"\0{file.relative_to(root)}\0{mode}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _instructions(text: str) -> Iterator[str]:
    parts: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            yield " ".join(parts)
            parts = []


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"the Dockerfile copies {path}, which is not there")
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.suffix not in IGNORED_SUFFIXES
        and not IGNORED_FOLDERS.intersection(file.relative_to(path).parts)
    )
