"""Artifacts in a bucket, read with the target's credentials if its Secret may be read, else with one's own."""

from __future__ import annotations

import base64
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from qgjob.cli.exits import CliError, Exit

from .base import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_s3 import S3Client

    from qgjob.cli.session import Session

#: Who reaches the store at another URL than the runners do sets one of these, as AWS's own programs know them.
ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_PIECE: Final = 256 * 1024
_CONNECT_SECONDS: Final = 10
_SILENCE_SECONDS: Final = 30
_TRIES: Final = 3


class BucketReader:
    """Reads a TestTarget's `artifacts.s3`."""

    def __init__(self, session: Session, bucket: Mapping[str, Any]) -> None:
        """Raises CliError where boto3 is not installed."""
        self._name = str(bucket["bucket"])
        own = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
        self._endpoint = own or bucket.get("endpoint")
        self._client = self._connect(session, bucket)

    def files(self, key: str) -> list[StoredFile]:
        """One listing for each thousand."""
        with self._explained():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=key)
            objects = [each for page in pages for each in page.get("Contents", [])]
        files = (StoredFile(each["Key"].removeprefix(key), each["Size"]) for each in objects)
        return sorted((file for file in files if file.name), key=lambda file: file.name)

    def read(self, key: str, name: str) -> Iterator[bytes]:
        """One request."""
        with self._explained():
            body = self._client.get_object(Bucket=self._name, Key=key + name)["Body"]
            yield from body.iter_chunks(_PIECE)

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def _connect(self, session: Session, bucket: Mapping[str, Any]) -> S3Client:
        from qgjob.client.s3 import s3_client

        try:
            with self._explained():
                return s3_client(
                    self._endpoint,
                    bucket.get("region", "us-east-1"),
                    lambda: _keys(session, bucket.get("credentialsSecret")),
                    connect_seconds=_CONNECT_SECONDS,
                    silence_seconds=_SILENCE_SECONDS,
                    tries=_TRIES,
                )
        except ImportError as error:
            raise CliError(
                "these artifacts are in an S3 bucket: reading them needs `pip install 'qgjob-operator[s3]'`"
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore import exceptions

        where = f"bucket {self._name}" + (f" at {self._endpoint}" if self._endpoint else "")
        try:
            yield
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise CliError(
                f"no credentials for {where}: the target's Secret can't be read with your rights, so set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
                Exit.INFRASTRUCTURE,
            ) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise CliError(
                f"{where} can't be reached from here ({type(error).__name__}): "
                f"if you reach it at another URL, set {ENDPOINTS[0]}",
                Exit.INFRASTRUCTURE,
            ) from error
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            raise CliError(f"{where}: {error}", Exit.INFRASTRUCTURE) from error


def _keys(session: Session, secret: str | None) -> dict[str, str]:
    """The Secret's values; none where it is not this user's to read."""
    from qgjob.client import ApiError

    if not secret:
        return {}
    try:
        data = session.client.get("secrets", secret, api_version="v1").get("data") or {}
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        why = "is not there" if error.status == 404 else "is not yours to read"
        session.note(f"the Secret {secret} {why}: using your own AWS credentials")
        return {}
    return {key: base64.b64decode(value).decode().rstrip("\n") for key, value in data.items()}
