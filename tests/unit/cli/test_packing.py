"""Local files as one archive."""

from __future__ import annotations

import base64
import io
import os
import random
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from qgjob.cli import packing

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_ts", ".ts")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def unpack(packed: packing.Packed) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed.archive)) as archive:
        return {
            entry.name: archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive.getmembers()
            if entry.isfile()
        }


def pack(root: Path) -> packing.Packed:
    return packing.pack(root, packing.choose(root))


def test_the_archive_has_the_files(tmp_path: Path) -> None:
    write(tmp_path, tests__a_ts="one", tests__deep__b_ts="two")

    assert unpack(pack(tmp_path)) == {"tests/a.ts": "one", "tests/deep/b.ts": "two"}


def test_the_same_content_has_the_same_name(tmp_path: Path) -> None:
    one = write(tmp_path / "one", a_ts="x", b_ts="y")
    other = write(tmp_path / "other", b_ts="y", a_ts="x")
    os.utime(other / "a.ts", (0, 0))
    (other / "b.ts").chmod(0o600)

    assert pack(one) == pack(other)


def test_other_content_has_another_name(tmp_path: Path) -> None:
    one = write(tmp_path / "one", a_ts="x")
    other = write(tmp_path / "other", a_ts="z")

    assert pack(one).name != pack(other).name


def test_dependencies_and_caches_stay_here(tmp_path: Path) -> None:
    write(tmp_path, a_ts="x", node_modules__m__i_ts="", __pycache____c="", test="")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x").touch()

    assert packing.choose(tmp_path) == ["a.ts", "test"]


def test_git_says_what_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, tracked_ts="", untracked_ts="", secret_ts="", node_modules__m__i_ts="")
    (tmp_path / ".gitignore").write_text("secret.ts\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "tracked.ts"], check=True)

    assert packing.choose(tmp_path) == [".gitignore", "tracked.ts", "untracked.ts"]


def test_a_file_that_git_tracks_and_that_is_gone_is_not_sent(tmp_path: Path) -> None:
    write(tmp_path, gone_ts="", here_ts="")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    (tmp_path / "gone.ts").unlink()

    assert packing.choose(tmp_path) == ["here.ts"]


def test_executables_stay_executable(tmp_path: Path) -> None:
    write(tmp_path, run="#!/bin/sh")
    (tmp_path / "run").chmod(0o700)

    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path).archive)) as archive:
        assert archive.getmember("run").mode == 0o755


def test_a_link_inside_the_folder_is_kept(tmp_path: Path) -> None:
    write(tmp_path, a_ts="x")
    (tmp_path / "link.ts").symlink_to("a.ts")

    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path).archive)) as archive:
        assert archive.getmember("link.ts").linkname == "a.ts"


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a_ts="x")
    (tmp_path / "passwd").symlink_to("/etc/passwd")

    with pytest.raises(ValueError, match=r"passwd leads out of the folder, to /etc/passwd"):
        pack(tmp_path)


def test_too_much_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    write(tmp_path, small_ts="x")
    (tmp_path / "video.mp4").write_bytes(random.Random(1).randbytes(1_200_000))

    with pytest.raises(ValueError, match=r"1\.1 MiB packed, but a ConfigMap holds 1 MiB") as refusal:
        pack(tmp_path)

    assert "video.mp4 (1172 KiB)" in str(refusal.value)
    assert "--git URL" in str(refusal.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no files to send"):
        packing.choose(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        packing.choose(tmp_path / "nowhere")


def test_the_config_map_carries_the_archive(tmp_path: Path) -> None:
    packed = pack(write(tmp_path, a_ts="x"))

    config_map = packed.config_map()

    assert config_map["metadata"]["name"].startswith("qgjob-src-")
    assert base64.b64decode(config_map["binaryData"]["source.tar.gz"]) == packed.archive
