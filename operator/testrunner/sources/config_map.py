"""Test files from a ConfigMap: a folder, packed as .tar.gz, in the key `source.tar.gz` of its binaryData."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from qgjob.client import ApiError, Client, ClientError

from ..answers import REQUEST_SECONDS
from ..drivers.base import InfrastructureError
from .extract import extract, invalid

if TYPE_CHECKING:
    from pathlib import Path

    from qgjob.api.source import ConfigMapSource

KEY: Final = "source.tar.gz"


def prepare_config_map(source: ConfigMapSource, folder: Path, *, client: Client, namespace: str) -> Path:
    """Read and unpack it. Raises SubmitterError, InfrastructureError."""
    name = f"ConfigMap {namespace}/{source.name}"
    try:
        found = client.get(
            "configmaps",
            source.name,
            namespace=namespace,
            api_version="v1",
            timeout=REQUEST_SECONDS,
            retries=3,
        )
    except ApiError as error:
        if error.is_not_found:
            raise invalid(f"source.configMap: there is no {name}") from error
        raise InfrastructureError(f"{name} can't be read: {error}") from error
    except ClientError as error:
        raise InfrastructureError(f"{name} can't be read: {error}") from error
    packed = (found.get("binaryData") or {}).get(KEY)
    if packed is None:
        raise invalid(f"source.configMap: {name} has no key {KEY} in its binaryData")
    archive = folder.with_suffix(".tar.gz")
    try:
        archive.write_bytes(base64.b64decode(packed, validate=True))
    except binascii.Error as error:
        raise invalid(f"source.configMap: the key {KEY} of {name} isn't base64: {error}") from error
    extract(archive, folder)
    archive.unlink()
    return folder
