"""A client for S3-compatible stores, by what a target says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
        # Not at the top: it takes some 200 ms, and few targets need it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
    except ImportError as error:
        raise InfrastructureError("s3:// needs boto3 in the runner's image: pip install boto3") from error
    keys: dict[str, str] = {}
    if access.credentials_secret:
        keys = secrets.read(purpose, access.credentials_secret)
        missing = [key for key in ("accessKeyId", "secretAccessKey") if not keys.get(key)]
        if missing:
            raise InfrastructureError(f"the Secret {access.credentials_secret} lacks {' and '.join(missing)}")
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=SILENCE_SECONDS,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            # Other stores than AWS's often know no bucket by a host's name, and no newer checksums.
            s3={"addressing_style": "path" if access.endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
        aws_access_key_id=keys.get("accessKeyId"),
        aws_secret_access_key=keys.get("secretAccessKey"),
        aws_session_token=keys.get("sessionToken"),
    )
