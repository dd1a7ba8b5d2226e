"""Local test files as one archive in a ConfigMap: named by its content, the same wherever it is packed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .expand import SKIPPED_FOLDERS

KEY: Final = "source.tar.gz"
#: A ConfigMap's data may have 1 MiB (Kubernetes' own limit), its keys included.
MAX_BYTES: Final = 1024 * 1024 - 1024
#: Not worth compressing to see whether it fits.
_MAX_RAW_BYTES: Final = 64 * 1024 * 1024
_MORE_SKIPPED: Final = frozenset({".venv", "venv", "__pycache__", ".idea", ".vscode", "test-results"})


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed folder."""

    name: str
    archive: bytes

    def config_map(self) -> dict[str, Any]:
        """The ConfigMap that carries it."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/managed-by": "qgjob"}},
            "immutable": True,
            "binaryData": {KEY: base64.b64encode(self.archive).decode()},
        }


def choose(root: Path) -> list[str]:
    """The files to send, as paths below `root`: what git tracks or would; without git, all but the usual.

    Raises:
        ValueError: no such folder, or nothing in it.
    """
    if not root.is_dir():
        raise ValueError(f"--source-dir {root}: no such folder")
    listed = _by_git(root)
    files = listed if listed is not None else _by_walking(root)
    files = [
        path
        for path in files
        if not SKIPPED_FOLDERS & set(Path(path).parts)
        and ((root / path).is_file() or (root / path).is_symlink())
    ]
    if not files:
        raise ValueError(f"--source-dir {root}: no files to send")
    return sorted(files)


def pack(root: Path, files: list[str]) -> Packed:
    """The archive of those files, with no times, owners or umasks: the same content has the same name.

    Raises:
        ValueError: it doesn't fit into a ConfigMap, or a symbolic link leads out of the folder.
    """
    sizes = {path: (root / path).lstat().st_size for path in files}
    if sum(sizes.values()) > _MAX_RAW_BYTES:
        raise ValueError(_too_large(root, sizes, f"{sum(sizes.values()) / 2**20:.0f} MiB"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            _add(archive, root, path)
    content = buffer.getvalue()
    # Named by what is in it: the compressed bytes differ between versions of zlib.
    name = f"qgjob-src-{hashlib.sha256(content).hexdigest()[:20]}"
    packed = gzip.compress(content, mtime=0)
    if len(packed) > MAX_BYTES:
        raise ValueError(_too_large(root, sizes, f"{len(packed) / 2**20:.1f} MiB packed"))
    return Packed(name, packed)


def _add(archive: tarfile.TarFile, root: Path, path: str) -> None:
    source = root / path
    entry = tarfile.TarInfo(path)
    if source.is_symlink():
        target = os.readlink(source)  # noqa: PTH115 - the text as it stands, not a Path made of it
        if not (source.parent / target).resolve().is_relative_to(root.resolve()):
            raise ValueError(f"--source-dir: the symbolic link {path} leads out of the folder, to {target}")
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        archive.addfile(entry)
        return
    content = source.read_bytes()
    entry.size = len(content)
    entry.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(content))


def _by_git(root: Path) -> list[str] | None:
    """What git knows or doesn't ignore below `root`; None where there is no work tree or no git."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    # Nothing listed: the folder itself is ignored by the repository that it happens to lie in.
    return [path for path in answer.stdout.decode().split("\0") if path] or None


def _by_walking(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS | _MORE_SKIPPED]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in names]
    return found


def _too_large(root: Path, sizes: dict[str, int], size: str) -> str:
    largest = sorted(sizes, key=lambda path: sizes[path], reverse=True)[:3]
    named = ", ".join(f"{path} ({sizes[path] / 1024:.0f} KiB)" for path in largest)
    return (
        f"--source-dir {root}: {size}, but a ConfigMap holds 1 MiB. Largest: {named}.\n"
        "Leave them out (.gitignore), or name a source that the runner fetches: --git URL, or "
        "spec.source.archive in a manifest"
    )
