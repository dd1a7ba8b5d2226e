"""Attempts whose artifacts are in a bucket, for tests of what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgjob.api.artifacts import Place
from qgjob.api.constants import API_VERSION, TEST_TARGETS

if TYPE_CHECKING:
    from hack.s3server import S3Server
    from tests.apiserver.cli_support import Operator

BUCKET = "artifacts"


class Stored:
    """A target that keeps artifacts, and attempts that left some."""

    def __init__(self, operator: Operator, artifacts: dict[str, Any]) -> None:
        self._operator = operator
        self._place = Place.of(artifacts, operator.namespace, "phones")
        spec = {"provider": {"none": {}}, "driver": {"name": "simulate"}, "artifacts": artifacts}
        body = {"apiVersion": API_VERSION, "kind": "TestTarget", "metadata": {"name": "phones"}, "spec": spec}
        operator.client.create(TEST_TARGETS, body)

    def attempt(self, job: str, outcome: Any, message: str = "", **more: Any) -> str:
        """Run the job's next attempt; returns the key of its folder."""
        self._operator.run(job)
        live = self._operator.job(job)
        key = self._place.key(
            started=live["status"]["startTime"],
            job=job,
            uid=live["metadata"]["uid"],
            attempt=live["status"]["attempt"],
        )
        self._operator.finish(job, outcome, message, artifacts=self._place.link(key), **more)
        return key


def put(s3: S3Server, key: str, **files: str) -> None:
    """Files as the runner stores them; `log_txt` is log.txt."""
    for name, text in files.items():
        s3.client().put_object(Bucket=BUCKET, Key=key + name.replace("_", "."), Body=text.encode())
