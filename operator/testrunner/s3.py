"""A client for S3-compatible stores, by what a target says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qgjob.client.s3 import s3_client

from .drivers.base import InfrastructureError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from qgjob.api.stores import S3Access

    from .secrets import Secrets

#: Seconds until a connection stands, and the longest silence of the store.
CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 20.0
#: Requests in all where one goes wrong in a way that may pass.
TRIES: Final = 5


def connect(access: S3Access, secrets: Secrets, purpose: str) -> S3Client:
    """A client; nothing is sent yet.

    Raises InfrastructureError where the image has no boto3, or the Secret lacks a key.
    """
    try:
        return s3_client(
            access.endpoint,
            access.region,
            lambda: _keys(access, secrets, purpose),
            connect_seconds=CONNECT_SECONDS,
            silence_seconds=SILENCE_SECONDS,
            tries=TRIES,
        )
    except ImportError as error:
        raise InfrastructureError("s3:// needs boto3 in the runner's image: pip install boto3") from error


def _keys(access: S3Access, secrets: Secrets, purpose: str) -> dict[str, str]:
    if not access.credentials_secret:
        return {}
    keys = secrets.read(purpose, access.credentials_secret)
    missing = [key for key in ("accessKeyId", "secretAccessKey") if not keys.get(key)]
    if missing:
        raise InfrastructureError(f"the Secret {access.credentials_secret} lacks {' and '.join(missing)}")
    return keys
