"""A client for S3-compatible stores, the same for whoever reads and writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_s3 import S3Client


def s3_client(
    endpoint: str | None,
    region: str,
    read_keys: Callable[[], Mapping[str, str]],
    *,
    connect_seconds: float,
    silence_seconds: float,
    tries: int,
) -> S3Client:
    """A client; nothing is sent yet.

    `read_keys` gives those of a Secret (accessKeyId, secretAccessKey, sessionToken), and is not called where there is
    no boto3; without keys boto3 looks for its own.
    `silence_seconds` is the store's longest silence, `tries` are requests in all where one goes wrong in a way that
    may pass. Raises ImportError where there is no boto3.
    """
    # Not at the top: it takes some 200 ms, is an extra, and few need it.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    keys = read_keys()
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        config=Config(
            connect_timeout=connect_seconds,
            read_timeout=silence_seconds,
            retries={"total_max_attempts": tries, "mode": "standard"},
            # Other stores than AWS's often know no bucket by a host's name, and no newer checksums.
            s3={"addressing_style": "path" if endpoint else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
        aws_access_key_id=keys.get("accessKeyId"),
        aws_secret_access_key=keys.get("secretAccessKey"),
        aws_session_token=keys.get("sessionToken"),
    )
