"""Image archives: what is in them, and the one that is made here."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from hack.localcluster.containerd import archive_images, write_image_archive
from hack.localcluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path


def oci_archive(path: Path, annotations: dict[str, str]) -> Path:
    index = {"manifests": [{"digest": "sha256:abc", "annotations": annotations}]}
    data = json.dumps(index).encode()
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("./index.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("key", ["org.opencontainers.image.ref.name", "io.containerd.image.name"])
def test_an_oci_archive_names_its_images(tmp_path: Path, key: str) -> None:
    archive = oci_archive(tmp_path / "image.tar", {key: "localhost/qgjob/runner:dev"})
    assert archive_images(archive) == {"localhost/qgjob/runner:dev": "sha256:abc"}


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(ClusterError, match=r"notes\.txt is no image archive"):
        archive_images(tmp_path / "notes.txt")


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"image\.tar cannot be read: No such file"):
        archive_images(tmp_path / "image.tar")


def read_json(tar: tarfile.TarFile, name: str) -> Any:
    content = tar.extractfile(name)
    assert content is not None
    return json.load(content)


def test_an_image_of_one_program_holds_it_and_runs_it(tmp_path: Path) -> None:
    (tmp_path / "pause").write_bytes(b"\x7fELF")
    archive = tmp_path / "image.tar"

    write_image_archive(archive, "localhost/pause:1", tmp_path / "pause", "--for-ever")

    with tarfile.open(archive) as tar:
        layer = tar.extractfile("layer.tar")
        assert layer is not None
        data = layer.read()
        assert read_json(tar, "manifest.json")[0]["RepoTags"] == ["localhost/pause:1"]
        configuration = read_json(tar, "config.json")
    assert configuration["config"] == {"Entrypoint": ["/pause"], "Cmd": ["--for-ever"]}
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(data).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [(member.name, member.mode, member.uid) for member in tar] == [("pause", 0o755, 0)]
