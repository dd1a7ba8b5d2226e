"""A real sshd on a loopback port, for this user, by key. Debian's package is installed where that is possible."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVILEGE_SEPARATION = Path("/run/sshd")


@dataclass(frozen=True)
class SshServer:
    """Where it is, and who may enter."""

    port: int
    private_key: str
    known_hosts: str

    def url(self, path: Path) -> str:
        """The clone URL of a repository."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


def find_sshd() -> str | None:
    """The program; None where there is none and it can't be installed."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for arguments in (["update"], ["-y", "--no-install-recommends", "install", "openssh-server"]):
            subprocess.run(
                ["apt-get", "-qq", *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                # Its own server is not wanted.
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            )
        found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    return found


@contextmanager
def ssh_server(program: str, folder: Path) -> Iterator[SshServer]:
    """Start it, with keys of its own in an empty folder."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    if os.geteuid() == 0:
        _PRIVILEGE_SEPARATION.mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", program, "-D", "-e", "-f", str(folder / "config")],
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        host = " ".join((folder / "host.pub").read_text().split()[:2])
        yield SshServer(port, (folder / "user").read_text(), f"[127.0.0.1]:{port} {host}\n")
    finally:
        process.kill()
        process.wait()
