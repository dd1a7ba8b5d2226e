"""From `--test` arguments to the test files that they mean."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Folders that hold no test of one's own.
SKIPPED_FOLDERS: Final = frozenset({".git", "node_modules"})


def expand(patterns: Sequence[str], root: Path, *, packed: Collection[str] | None = None) -> list[str]:
    """The tests, as paths below `root` with '/' between their parts, in their order.

    A path without wildcards stands for itself: the runner reads it, wherever its source is. With `packed`
    (the files that are sent from here) it has to be one of those.

    Raises:
        ValueError: a pattern matches nothing, a path isn't among the packed files, or one is given twice.
    """
    found: dict[str, None] = {}
    literals: set[str] = set()
    for pattern in patterns:
        path = pattern.removeprefix("./")
        if not _is_pattern(path, root):
            if path in literals:
                raise ValueError(f"--test {pattern}: given twice")
            if packed is not None and path not in packed:
                raise ValueError(_absent(path, root))
            literals.add(path)
            found[path] = None
            continue
        matches = [match for match in _matches(path, root) if packed is None or match in packed]
        if not matches:
            raise ValueError(f"--test {pattern}: matches no file in {root.absolute()}")
        found.update(dict.fromkeys(matches))
    return list(found)


def _is_pattern(path: str, root: Path) -> bool:
    # tests/[id].spec.ts is a fine name for a file.
    return glob.has_magic(path) and not (root / path).is_file()


def _matches(pattern: str, root: Path) -> list[str]:
    found = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 - Path.glob reads [ differently
    return sorted(
        Path(match).as_posix()
        for match in found
        if (root / match).is_file() and not SKIPPED_FOLDERS & set(Path(match).parts)
    )


def _absent(path: str, root: Path) -> str:
    if (root / path).is_file():
        return (
            f"--test {path}: isn't sent, because git ignores it (see .gitignore) or it lies in node_modules"
        )
    return f"--test {path}: no such file in {root.absolute()}"
