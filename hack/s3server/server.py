"""One S3 server on a free port, its objects in a folder. It can be stopped and started again, as after a crash."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from hack.localcluster.programs import Release, ensure_built
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

VERSITYGW: Final = Release(
    "versitygw",
    {"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
    go_module="github.com/versity/versitygw",
    sources=Path(__file__).parent / "go",
)
HOST: Final = "127.0.0.1"
START_SECONDS: Final = 30.0
# The kernel kills it when the test run ends, even if that is killed itself.
_ENDS_WITH_THE_TEST_RUN: Final = ("setpriv", "--pdeathsig", "KILL", "--")


class S3Server:
    """Use it as a context manager, with an empty folder of its own."""

    ACCESS_KEY_ID: Final = "test-key"
    SECRET_ACCESS_KEY: Final = "test-secret"
    REGION: Final = "us-east-1"

    def __init__(self, folder: Path, host: str = HOST) -> None:
        """`host` is the address of this machine that it listens on."""
        self._folder = folder
        self._host = host
        with socket.socket() as free:
            free.bind((host, 0))
            self._port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Build it where that was not done yet, and start it."""
        ensure_built([VERSITYGW], Report())
        for name in ("data", "metadata"):
            (self._folder / name).mkdir(parents=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def url(self) -> str:
        """The endpoint; the same after a new start."""
        return f"http://{self._host}:{self._port}"

    def client(self) -> S3Client:
        """A client with every right, for arranging tests."""
        import boto3  # noqa: PLC0415 - slow to import, and not every test that imports this needs it

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=self.REGION,
            aws_access_key_id=self.ACCESS_KEY_ID,
            aws_secret_access_key=self.SECRET_ACCESS_KEY,
        )

    def requests(self, method: str, path: str) -> int:
        """How many requests it has answered, by its own log: of `GET`, say, for `/bucket/key`."""
        return (self._folder / "log").read_text().count(f"| {method} | {path} |")

    def write_secret(self, folder: Path) -> None:
        """Write the keys as a pod has them that mounts a `credentialsSecret`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "accessKeyId").write_text(self.ACCESS_KEY_ID)
        (folder / "secretAccessKey").write_text(self.SECRET_ACCESS_KEY)

    def start(self) -> None:
        """Start it, and wait until it answers. Raises RuntimeError where it does not."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *_ENDS_WITH_THE_TEST_RUN,
                    str(VERSITYGW.path("versitygw")),
                    *("--port", f"{self._host}:{self._port}", "--region", self.REGION),
                    # Beside the objects, because not every file system has extended attributes.
                    *("posix", "--sidecar", str(self._folder / "metadata"), str(self._folder / "data")),
                ],
                env={
                    **os.environ,
                    "ROOT_ACCESS_KEY": self.ACCESS_KEY_ID,
                    "ROOT_SECRET_KEY": self.SECRET_ACCESS_KEY,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"versitygw did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Let it be away, at once; its objects are kept for the next start()."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection((self._host, self._port), timeout=1).close()
        except OSError:
            return False
        return True
