"""Unpacking archives from strangers: nothing lands outside the folder, and nothing grows without end."""

from __future__ import annotations

import errno
import shutil
import stat
import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Self

from ..drivers.base import InfrastructureError, SubmitterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes and files that an archive may unpack to.
MAX_BYTES: Final = 1024 * 1024 * 1024
MAX_FILES: Final = 100_000
#: Bytes of a header that a member may have beside its 512: a long name, attributes.
MAX_HEADER_BYTES: Final = 64 * 1024
#: Errors that say nothing of the archive.
_MACHINES: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    }
)
#: Of tar: what stands before a member, and describes it or all that follow.
_HEADERS: Final = frozenset(
    {
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    }
)


def extract(archive: Path, into: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
    """Unpack a .tar (plain, .gz, .bz2, .xz) or .zip file into a new folder; what it is, its content says.

    Raises SubmitterError (SourceInvalid) where it is neither, is damaged, leads outside the folder, or is too
    large; InfrastructureError where this machine has no room for it.
    """
    try:
        into.mkdir(parents=True)
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, into, max_bytes, max_files)
        else:
            _extract_tar(archive, into, max_bytes, max_files)
    except SubmitterError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MACHINES:
            raise InfrastructureError(f"there is no room for the test files: {error}") from error
        # A stranger's archive makes these modules raise whatever they know: a time or a name that is none, …
        raise invalid(f"the archive can't be unpacked: {error}") from error


def invalid(message: str) -> SubmitterError:
    """The error for a source that can't be used as it is."""
    return SubmitterError("SourceInvalid", message)


def _extract_tar(archive: Path, into: Path, max_bytes: int, max_files: int) -> None:
    with tarfile.open(archive, "r:*", tarinfo=_Member) as tar:
        # The filter refuses what leads outside, devices, and odd permissions; it leaves counting to us.
        tar.extractall(into, members=_counted(tar, max_bytes, max_files), filter="data")


class _Member(tarfile.TarInfo):
    """Refuses what tarfile reads into memory, whatever its size, before the member is there to be counted."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """A member by its first block. Raises SubmitterError."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _HEADERS and member.size > MAX_HEADER_BYTES:
            raise invalid(f"the archive has a header of more than {MAX_HEADER_BYTES} bytes")
        if member.type == tarfile.GNUTYPE_SPARSE:
            raise invalid(f"the archive has a file with holes ({member.name!r}): pack it without --sparse")
        return member


def _counted(tar: tarfile.TarFile, max_bytes: int, max_files: int) -> Iterator[tarfile.TarInfo]:
    size = 0
    for number, member in enumerate(tar, start=1):
        size += member.size
        _check_limits(size, number, max_bytes, max_files)
        yield member


def _extract_zip(archive: Path, into: Path, max_bytes: int, max_files: int) -> None:
    with zipfile.ZipFile(archive) as pack:
        members = pack.infolist()
        _check_limits(sum(member.file_size for member in members), len(members), max_bytes, max_files)
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise invalid(f"the archive leads outside its folder: {member.filename!r}")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise invalid(f"a .zip source can't hold symbolic links ({member.filename!r}): use .tar.gz")
            target = into / path
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with pack.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            if (member.external_attr >> 16) & stat.S_IXUSR:
                target.chmod(0o755)


def _check_limits(size: int, files: int, max_bytes: int, max_files: int) -> None:
    if size > max_bytes:
        raise invalid(f"the archive unpacks to more than {max_bytes} bytes")
    if files > max_files:
        raise invalid(f"the archive holds more than {max_files} files")
