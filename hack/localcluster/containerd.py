"""A containerd of our own, beside any other on the machine, and the images in it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hack.localcluster import network
from hack.localcluster.daemons import Daemon, NotHealthyError
from hack.localcluster.errors import ClusterError
from hack.localcluster.files import write_file
from hack.localcluster.programs import PAUSE
from hack.localcluster.shell import find_program, run

if TYPE_CHECKING:
    from pathlib import Path

PAUSE_IMAGE = "localhost/pause:1"
IMPORT_TIMEOUT_SECONDS = 1800
# A containerd behind a company's proxy pulls nothing without these.
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Containerd:
    """containerd, with its data in `root` and what ends with it (sockets, mounts) in `state`."""

    root: Path
    state: Path
    cni_conf: Path

    @property
    def socket(self) -> Path:
        """The socket that its clients use."""
        return self.state / "containerd.sock"

    @property
    def endpoint(self) -> str:
        """The socket as the kubelet wants it named."""
        return f"unix://{self.socket}"

    @property
    def _configuration_file(self) -> Path:
        return self.root / "config.toml"

    def prepare(self) -> None:
        """Write its configuration."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(parents=True, exist_ok=True)
        write_file(self._configuration_file, self.configuration())

    def configuration(self) -> str:
        """Return config.toml. Version 2 is read by containerd 1.6 and all later ones."""
        return f"""\
version = 2
root = "{self.root}"
state = "{self.state}"

[grpc]
  address = "{self.socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without the right to lower an OOM score (a container of another tool, say) pods would not start.
  restrict_oom_score_adj = true
  # Else network namespaces would be mounted in a folder that other tools share.
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{network.cni_folder()}"
  conf_dir = "{self.cni_conf}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{self.state}/runc"
  SystemdCgroup = false
"""

    def daemon(self) -> Daemon:
        """Return how it is run."""
        return Daemon(
            "containerd",
            (find_program("containerd") or "containerd", "--config", str(self._configuration_file)),
            check=self._check,
            files=(self._configuration_file,),
            environment={name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ},
            grace_seconds=5,
        )

    def ctr(self, *arguments: str | Path, timeout: float = 60) -> str:
        """Run containerd's own client in the namespace that the kubelet uses."""
        return run(["ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments], timeout=timeout)

    def images(self) -> dict[str, str]:
        """Return the images that pods can use: name → digest."""
        lines = self.ctr("images", "list").splitlines()[1:]
        return {fields[0]: fields[2] for fields in (line.split() for line in lines) if len(fields) > 2}

    def sandboxes(self) -> list[str]:
        """Return the IDs of the pods' sandboxes, read from its folder: also when it does not run."""
        return [path.name for path in (self.root / "io.containerd.grpc.v1.cri" / "sandboxes").glob("*")]

    def import_archive(self, archive: Path) -> None:
        """Import the images of a docker or OCI archive. Raises ClusterError when it is none."""
        self.ctr("images", "import", archive, timeout=IMPORT_TIMEOUT_SECONDS)

    def ensure_pause_image(self, scratch: Path) -> None:
        """Import the image that holds each pod's namespaces. No registry is asked for it."""
        if PAUSE_IMAGE in self.images():
            return
        archive = scratch / "pause.tar"
        write_image_archive(archive, PAUSE_IMAGE, PAUSE.path("pause"))
        self.import_archive(archive)
        archive.unlink()

    def _check(self) -> None:
        if not self.socket.exists():
            raise NotHealthyError(f"its socket {self.socket} is not there")
        try:
            self.ctr("version", timeout=10)
        except ClusterError as error:
            raise NotHealthyError(str(error)) from error


def archive_images(archive: Path) -> dict[str, str]:
    """Return the images that an OCI archive names: name → digest; nothing for a docker archive.

    Raises ClusterError when the file is no archive at all.
    """
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.removeprefix("./") == "index.json":
                    content = tar.extractfile(member)
                    return _names_in_index(json.load(content)) if content is not None else {}
    except OSError as error:
        raise ClusterError(f"{archive} cannot be read: {error.strerror}") from error
    except (tarfile.TarError, ValueError) as error:
        raise ClusterError(f"{archive} is no image archive: {error}") from error
    return {}


def _names_in_index(index: dict[str, Any]) -> dict[str, str]:
    names = {}
    for manifest in index.get("manifests", []):
        annotations = manifest.get("annotations", {})
        name = annotations.get("io.containerd.image.name") or annotations.get(
            "org.opencontainers.image.ref.name"
        )
        if name:
            names[name] = manifest["digest"]
    return names


def write_image_archive(archive: Path, image: str, program: Path, *arguments: str) -> None:
    """Write a docker archive of an image that holds one static program, which it runs, and nothing else.

    `arguments` are given to the program unless the pod gives others.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tar.gettarinfo(str(program), arcname=program.name)
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mode = 0o755
        with program.open("rb") as content:
            tar.addfile(info, content)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    configuration = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "Cmd": list(arguments)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, mode="w") as tar:
        for name, data in (
            ("layer.tar", layer.getvalue()),
            ("config.json", json.dumps(configuration).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
