"""Artifacts in a real S3 store: what the runner's end, and other runners of the target, make of storing there."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import pytest

from qgjob.api.stores import Artifacts, Bucket
from testrunner.artifacts.base import Scope
from testrunner.artifacts.bucket import BucketStore
from testrunner.drivers.base import Stopped
from testrunner.secrets import Secrets
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.s3server import S3Server

ROOT = "qgjob/mobile/pixels/"
KEY = f"{ROOT}2026-11-24/login-1-0a1b2c3d/1/"


class Scene:
    """A bucket of artifacts, and a target's store there."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.client = server.client()
        self.client.create_bucket(Bucket="artifacts")
        server.write_secret(folder / "secrets/artifacts-s3")
        bucket = {"bucket": "artifacts", "endpoint": server.url, "credentialsSecret": "bucket"}
        artifacts = Artifacts.model_validate({"s3": bucket, "retentionDays": 30})
        self.store = BucketStore(
            Bucket.model_validate(bucket),
            Scope.of(artifacts, "mobile", "pixels", lambda: date(2026, 11, 24)),
            Secrets(folder / "secrets"),
        )
        self.reports = folder / "reports"
        self.reports.mkdir()
        self.log: list[str] = []

    def put(self, *keys: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(
                lambda key: self.client.put_object(Bucket="artifacts", Key=key, Body=b"x"), keys
            ):
                pass

    def prune(self) -> None:
        self.store.prune(stop=StopToken(), log=self.log.append)

    @property
    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="artifacts")
        return [each["Key"] for page in pages for each in page.get("Contents", [])]


@pytest.fixture
def scene(server: S3Server, tmp_path: Path) -> Iterator[Scene]:
    found = Scene(server, tmp_path)
    yield found
    for key in found.keys:
        found.client.delete_object(Bucket="artifacts", Key=key)
    found.client.delete_bucket(Bucket="artifacts")


class SoonStopped(StopToken):
    """One that is requested as soon as an upload has begun."""

    looks = 0

    @property
    def requested(self) -> bool:
        self.looks += 1
        return self.looks > 2


def test_an_upload_that_is_under_way_ends_with_its_batch(scene: Scene) -> None:
    (scene.reports / "video.mp4").write_bytes(b"\0" * 100_000_000)

    began = time.monotonic()
    with pytest.raises(Stopped):
        scene.store.store(KEY, scene.reports, stop=SoonStopped(), log=scene.log.append)

    assert time.monotonic() - began < 5
    assert scene.keys == []
    assert scene.client.list_multipart_uploads(Bucket="artifacts").get("Uploads", []) == []


def test_an_old_day_of_more_files_than_one_request_names_is_deleted_whole(scene: Scene) -> None:
    old = [f"{ROOT}2026-10-01/login-1-0a1b2c3d/1/{number}.txt" for number in range(1010)]
    others = [f"{ROOT}2026-11-01/a-1/1/log.txt", "qgjob/mobile/other/2026-10-01/a-1/1/log.txt"]
    scene.put(*old, *others)

    scene.prune()

    assert sorted(scene.keys) == sorted(others)


def test_two_runners_of_a_target_prune_at_once(scene: Scene) -> None:
    scene.put(*(f"{ROOT}2026-10-{day:02}/a-1/1/log.txt" for day in range(1, 21)))
    failed: list[BaseException] = []

    def prune() -> None:
        try:
            scene.prune()
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=prune) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    assert scene.keys == []
