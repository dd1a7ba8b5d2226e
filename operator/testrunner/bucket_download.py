"""Fetching one object of an S3-compatible store, from where it was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from .download import (
    FIRST_PAUSE_SECONDS,
    Download,
    DownloadError,
    NoSuchFileError,
    RefusedError,
    TryAgain,
    Version,
    is_full,
    persist,
    public,
    too_large,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from .stop import StopToken

_NOT_THERE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_BUCKET: Final = _NOT_THERE | {"NoSuchBucket"}
_REFUSED: Final = frozenset(
    {"401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
)
_CHANGED: Final = frozenset({"412", "416", "PreconditionFailed", "InvalidRange"})


def download_object(
    client: S3Client,
    url: str,
    to: Path,
    *,
    max_bytes: int,
    stop: StopToken,
    log: Callable[[str], None],
    known: Version | None = None,
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> Download:
    """Fetch an s3://bucket/key URL into a file; the rest as testrunner.download.download."""
    transfer = _Transfer(client, url, to, max_bytes=max_bytes, stop=stop, known=known or Version())
    return persist(public(url), transfer.go_on, stop=stop, log=log, first_pause=first_pause)


class _Transfer:
    """One object on its way."""

    def __init__(
        self, client: S3Client, url: str, to: Path, *, max_bytes: int, stop: StopToken, known: Version
    ) -> None:
        parts = urlsplit(url)
        self._client = client
        self._url = url
        self._bucket = parts.netloc
        self._key = unquote(parts.path).lstrip("/")
        self._to = to
        self._max_bytes = max_bytes
        self._stop = stop
        self._known = known
        self._version = Version()
        self._total = 0

    def go_on(self) -> Download:
        from botocore import exceptions  # noqa: PLC0415 - an extra, slow to import

        before = self._size
        try:
            if not self._version:
                head = self._client.head_object(Bucket=self._bucket, Key=self._key)
                self._version, self._total = Version(etag=head["ETag"]), head["ContentLength"]
                if self._total > self._max_bytes:
                    raise too_large(self._url, self._max_bytes)
                if self._version == self._known:
                    return Download(0, self._known, unchanged=True)
                self._to.unlink(missing_ok=True)
            return self._receive()
        except exceptions.ClientError as error:
            raise self._explained(error) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise RefusedError(f"{public(self._url)}: {error}") from error
        except exceptions.ParamValidationError as error:
            raise DownloadError(f"{public(self._url)}: {' '.join(str(error).split())}") from error
        except (exceptions.BotoCoreError, OSError) as error:
            if is_full(error):
                raise DownloadError(f"{public(self._url)}: {error}") from error
            # Also what urllib3 raises in the middle of a body: botocore wraps it, or it is an OSError.
            raise TryAgain(str(error), progress=self._size > before) from error

    @property
    def _size(self) -> int:
        return self._to.stat().st_size if self._to.exists() else 0

    def _receive(self) -> Download:
        at = self._size
        if at < self._total or not self._total:
            wanted = {"Bucket": self._bucket, "Key": self._key, "IfMatch": self._version.etag}
            if at:
                wanted["Range"] = f"bytes={at}-"
            body = self._client.get_object(**wanted)["Body"]  # type: ignore[arg-type]
            with body:
                size = write(
                    body,  # type: ignore[arg-type] # it reads like any file
                    self._to,
                    at=at,
                    url=self._url,
                    max_bytes=self._max_bytes,
                    stop=self._stop,
                )
            if size < self._total:
                cut = f"the answer was cut off after {size} of {self._total} bytes"
                raise TryAgain(cut, progress=size > at)
        return Download(self._size, self._version)

    def _explained(self, error: Exception) -> Exception:
        """What the store's answer means; botocore has tried those again that pass soon."""
        answer = getattr(error, "response", {})
        code = str(answer.get("Error", {}).get("Code", ""))
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{public(self._url)}: {error}"
        if code in _NOT_THERE:
            return NoSuchFileError(said) if self._has_bucket() else self._no_bucket()
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in _REFUSED:
            return RefusedError(said)
        if code in _CHANGED:
            self._version = Version()
            return TryAgain("the object was replaced while it was fetched")
        if status >= 500 or status == 429:
            return TryAgain(str(error))
        return DownloadError(said)

    def _has_bucket(self) -> bool:
        """Asked where there is no object, because a store says the same of a bucket that is not there."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            return error.response.get("Error", {}).get("Code") not in _NO_BUCKET
        except (BotoCoreError, OSError):
            pass
        return True

    def _no_bucket(self) -> DownloadError:
        return DownloadError(f"{public(self._url)}: there is no bucket {self._bucket}: check the TestTarget")
