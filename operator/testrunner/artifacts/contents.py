"""An attempt's folder, made ready to be stored: secrets masked, reports readable, no more than the target allows."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from qgjob.api.artifacts import ABOUT, LEFT_OUT

from .tree import File, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..masking import Masks
    from ..readable_paths import ReadablePaths

_PIECE: Final = 1024 * 1024
#: A file is text if there is no zero byte among so many.
_SNIFFED: Final = 8192
#: A larger file is no report that people are shown parts of.
_REPORT_BYTES: Final = 50_000_000


def prepare(folder: Path, *, masks: Masks, paths: ReadablePaths, max_bytes: int, scratch: Path) -> None:
    """Remove what is too much, name that in left-out.txt, and mask what is text of the rest. Raises OSError.

    Paths are made readable in XML, since `qgjob report` and CI systems show what JUnit reports say.
    `scratch`: a folder on the same file system that no test knows.
    """
    tree = Tree(folder)
    files = tree.files()
    left_out = choose(files, max_bytes)
    for file in left_out:
        tree.remove(file.name)
    gone = frozenset(left_out)
    # Both make files smaller, if anything: a path and a value are longer than what stands for them.
    for file in (each for each in files if each not in gone):
        if file.name.endswith(".xml") and file.size <= _REPORT_BYTES:
            _make_readable(tree, file.name, paths, scratch)
        if masks:
            _mask(tree, file.name, masks, scratch)
    if left_out:
        lines = [f"More than {max_bytes} bytes (the TestTarget's artifacts.maxBytesPerAttempt). Left out:"]
        lines += [f"{masks.text(file.name)} ({file.size} bytes)" for file in left_out]
        put(tree, LEFT_OUT, "\n".join(lines) + "\n", scratch)


def choose(files: Sequence[File], max_bytes: int) -> list[File]:
    """The files to leave out, so that the others have at most `max_bytes`: the largest ones. Pure."""
    total = sum(file.size for file in files)
    left_out: list[File] = []
    for file in sorted(files, key=lambda file: -file.size):
        if total <= max_bytes:
            break
        # Small, and what tells the others apart.
        if file.name == ABOUT:
            continue
        total -= file.size
        left_out.append(file)
    return left_out


def put(tree: Tree, name: str, content: str | Path, scratch: Path) -> None:
    """Write a text, or move a file, into the folder in place of whatever has that name. Raises OSError."""
    if isinstance(content, Path):
        tree.replace(name, content)
        return
    with _replacing(tree, name, scratch) as target:
        target.write(content.encode(errors="replace"))


@contextmanager
def _replacing(tree: Tree, name: str, scratch: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of that name when it is written whole; nothing is left of one that isn't."""
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as target:
        written = Path(target.name)
        try:
            yield target
            target.flush()
            tree.replace(name, written)
        finally:
            written.unlink(missing_ok=True)


def _make_readable(tree: Tree, name: str, paths: ReadablePaths, scratch: Path) -> None:
    with tree.open(name) as source:
        # Whatever its encoding is, it is the same again where nothing was found.
        text = source.read(_REPORT_BYTES).decode(errors="surrogateescape")
    readable = paths.text(text)
    if readable != text:
        with _replacing(tree, name, scratch) as target:
            target.write(readable.encode(errors="surrogateescape"))


def _mask(tree: Tree, name: str, masks: Masks, scratch: Path) -> None:
    stream = masks.stream()
    with tree.open(name) as source:
        if b"\0" in source.read(_SNIFFED):
            return
        source.seek(0)
        with _replacing(tree, name, scratch) as target:
            while piece := source.read(_PIECE):
                target.write(stream.feed(piece))
            target.write(stream.finish())
