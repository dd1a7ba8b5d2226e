"""Test files from an archive that a server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..digest import sha256_of
from ..download import DownloadError, FileTooLargeError, NoSuchFileError, NotAUrlError, download
from ..drivers.base import InfrastructureError
from .extract import extract, invalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.source import ArchiveSource

    from ..stop import StopToken

#: The largest archive that is downloaded, in bytes.
MAX_ARCHIVE_BYTES: Final = 512 * 1024 * 1024


def prepare_archive(
    source: ArchiveSource, folder: Path, *, stop: StopToken, log: Callable[[str], None]
) -> Path:
    """Download, check, unpack. Raises SubmitterError, InfrastructureError, Stopped."""
    archive = folder.with_suffix(".archive")
    try:
        download(source.url, archive, max_bytes=MAX_ARCHIVE_BYTES, stop=stop, log=log)
    except (NoSuchFileError, FileTooLargeError, NotAUrlError) as error:
        raise invalid(f"source.archive: {error}") from error
    except DownloadError as error:
        raise InfrastructureError(f"the test files could not be downloaded: {error}") from error
    digest = sha256_of(archive)
    if source.sha256 and digest != source.sha256:
        raise invalid(f"source.archive: its sha256 is {digest}, not {source.sha256}")
    extract(archive, folder)
    archive.unlink()
    return folder
