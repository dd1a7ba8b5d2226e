"""App packages in a real S3 store, and in the cache of a node."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from qgjob.api.stores import App, S3Access
from qgjob.api.stores import Cache as CacheSettings
from testrunner.app import fetch_app
from testrunner.cache import Cache
from testrunner.drivers.base import InfrastructureError, SubmitterError
from testrunner.secrets import Secrets
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.s3server import S3Server

PACKAGE = bytes(range(256)) * 40_000


class Builds:
    """A bucket of builds, and a target that gets its app from there."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.client = server.client()
        self.client.create_bucket(Bucket="builds")
        self.secrets = folder / "secrets"
        server.write_secret(self.secrets / "app-s3")
        self.log: list[str] = []

    def upload(self, version: str, content: bytes, sha256: str = "") -> None:
        self.client.put_object(Bucket="builds", Key=f"{version}/app.apk", Body=content)
        if sha256:
            self.client.put_object(
                Bucket="builds", Key=f"{version}/app.apk.sha256", Body=f"{sha256}  app.apk\n".encode()
            )

    def fetch(
        self,
        version: str = "v1",
        *,
        url: str = "s3://builds/{appVersionId}/app.apk",
        s3: S3Access | None = None,
        sha256: bool = False,
        cache: Cache | None = None,
        **app: int,
    ) -> bytes:
        to = self.folder / "fetched" / "app.apk"
        to.unlink(missing_ok=True)
        fetch_app(
            App(
                url=url,
                sha256_url=f"{url}.sha256" if sha256 else None,
                s3=s3 or S3Access(endpoint=self.server.url, credentials_secret="bucket"),
                **app,  # type: ignore[arg-type]
            ),
            version,
            to,
            secrets=Secrets(self.secrets),
            cache=cache,
            stop=StopToken(),
            log=self.log.append,
        )
        return to.read_bytes()


@pytest.fixture
def builds(server: S3Server, tmp_path: Path) -> Iterator[Builds]:
    scene = Builds(server, tmp_path)
    yield scene
    for each in scene.client.list_objects_v2(Bucket="builds").get("Contents", []):
        scene.client.delete_object(Bucket="builds", Key=each["Key"])
    scene.client.delete_bucket(Bucket="builds")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    found = Cache.find(CacheSettings(volume={}), str(tmp_path / "cache"), print)
    assert found is not None
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_package_comes_from_a_bucket(builds: Builds) -> None:
    builds.upload("v1", PACKAGE)

    assert builds.fetch() == PACKAGE


def test_a_version_that_is_not_there_is_the_submitters_mistake(builds: Builds) -> None:
    with pytest.raises(SubmitterError) as raised:
        builds.fetch("v9")

    assert raised.value.reason == "AppVersionNotFound"
    assert "v9" in raised.value.message


def test_a_bucket_that_is_not_there_is_no_mistake_of_who_submits(builds: Builds) -> None:
    with pytest.raises(InfrastructureError, match=r"there is no bucket bilds: check the TestTarget"):
        builds.fetch(url="s3://bilds/{appVersionId}/app.apk")


def test_without_keys_it_is_said_which_field_names_their_secret(
    builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(InfrastructureError, match=r"names no app\.s3\.credentialsSecret"):
        builds.fetch(s3=S3Access(endpoint=builds.server.url))
    assert builds.log == []


def test_a_package_that_is_too_large_is_not_even_begun(builds: Builds) -> None:
    builds.upload("v1", PACKAGE)

    with pytest.raises(SubmitterError, match="maxBytes") as raised:
        builds.fetch(max_bytes=1000)

    assert raised.value.reason == "AppTooLarge"


def test_keys_that_the_store_refuses_name_their_secret(builds: Builds) -> None:
    builds.upload("v1", PACKAGE)
    (builds.secrets / "app-s3/secretAccessKey").write_text("wrong")

    with pytest.raises(InfrastructureError, match=r"check the Secret bucket .*credentialsSecret"):
        builds.fetch()


def test_a_secret_that_is_not_mounted_is_named(builds: Builds, tmp_path: Path) -> None:
    builds.secrets = tmp_path / "nothing"

    with pytest.raises(InfrastructureError, match="the Secret bucket is not in"):
        builds.fetch()


def test_a_store_that_is_away_is_infrastructure(
    builds: Builds, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testrunner.s3.TRIES", 1)
    monkeypatch.setattr("testrunner.download.TRIES", 1)
    server.stop()
    try:
        with pytest.raises(InfrastructureError, match="could not be downloaded"):
            builds.fetch()
    finally:
        server.start()


def test_the_right_sha256_is_accepted(builds: Builds) -> None:
    builds.upload("v1", PACKAGE, sha256(PACKAGE).upper())

    assert builds.fetch(sha256=True) == PACKAGE


def test_a_wrong_sha256_is_infrastructure_after_a_second_download(builds: Builds) -> None:
    builds.upload("v1", PACKAGE, sha256(b"another"))

    with pytest.raises(InfrastructureError, match=f"its sha256 is {sha256(PACKAGE)}, not"):
        builds.fetch(sha256=True)

    assert any("downloading it again" in line for line in builds.log)


def test_the_second_batch_takes_the_package_from_the_cache(builds: Builds, cache: Cache) -> None:
    builds.upload("v1", PACKAGE)
    builds.fetch(cache=cache)
    builds.log.clear()

    assert builds.fetch(cache=cache) == PACKAGE
    assert builds.log == [f"app version v1 is in the cache: {len(PACKAGE)} bytes"]


@pytest.mark.parametrize("checked", [True, False], ids=["sha256", "ETag"])
def test_a_version_that_was_uploaded_anew_is_noticed(builds: Builds, cache: Cache, checked: bool) -> None:
    builds.upload("v1", PACKAGE, sha256(PACKAGE))
    builds.fetch(cache=cache, sha256=checked)
    newer = PACKAGE[::-1]
    builds.upload("v1", newer, sha256(newer))

    assert builds.fetch(cache=cache, sha256=checked) == newer


def test_what_was_damaged_in_the_cache_is_fetched_again(builds: Builds, cache: Cache, tmp_path: Path) -> None:
    builds.upload("v1", PACKAGE)
    builds.fetch(cache=cache)
    (kept,) = (tmp_path / "cache").rglob("package")
    kept.write_bytes(b"damaged")

    assert builds.fetch(cache=cache) == PACKAGE
