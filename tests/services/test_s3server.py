"""The S3 server that other tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from hack.s3server import S3Server
from hack.s3server.server import VERSITYGW

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_pinned_by_a_module_that_names_no_registry() -> None:
    assert VERSITYGW.version.startswith("v")
    assert "://" not in "".join(path.read_text() for path in VERSITYGW.source.glob("go.*"))


def test_it_keeps_objects_over_a_crash_and_refuses_strangers(tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3") as server:
        client = server.client()
        client.create_bucket(Bucket="apps")
        client.put_object(Bucket="apps", Key="v1/app.apk", Body=b"package")

        server.stop()
        server.start()

        assert client.get_object(Bucket="apps", Key="v1/app.apk")["Body"].read() == b"package"
        with pytest.raises(ClientError, match="NoSuchKey"):
            client.get_object(Bucket="apps", Key="v2/app.apk")
