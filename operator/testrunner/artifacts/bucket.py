"""Artifacts in a bucket of an S3-compatible store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, Stopped
from ..s3 import connect
from ..secrets import ARTIFACTS_S3
from .base import go_on
from .content_types import content_type
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from types_boto3_s3 import S3Client

    from qgjob.api.stores import Bucket

    from ..secrets import Secrets
    from ..stop import StopToken
    from .base import Scope

#: Objects that one request may delete.
_MOST_DELETED: Final = 1000
#: A larger file is sent in parts of this many bytes; between two of them a stop is obeyed.
_PART_BYTES: Final = 8 * 1024 * 1024


class BucketStore:
    """Connects for each call, with the Secret as it is then."""

    def __init__(self, bucket: Bucket, scope: Scope, secrets: Secrets) -> None:
        self._bucket = bucket
        self._scope = scope
        self._secrets = secrets

    def store(
        self,
        key: str,
        folder: Path,
        *,
        stop: StopToken,
        log: Callable[[str], None],  # noqa: ARG002
    ) -> None:
        """Store the files, one after another."""
        self._scope.check(key)
        tree = Tree(folder)
        with self._connected() as s3:
            for file in tree.files():
                go_on(stop)
                with tree.open(file.name) as content:
                    self._put(s3, key + file.name, content, stop)

    def prune(self, *, stop: StopToken, log: Callable[[str], None]) -> None:
        """One listing of the days where there is nothing to do."""
        with self._connected() as s3:
            for prefix in self._old_days(s3):
                self._delete(s3, prefix, stop)
                log(f"deleted the artifacts below {prefix} (artifacts.retentionDays)")

    @contextmanager
    def _connected(self) -> Iterator[S3Client]:
        try:
            yield connect(self._bucket, self._secrets, ARTIFACTS_S3)
        except (InfrastructureError, Stopped):
            raise
        except OSError as error:
            raise InfrastructureError(f"artifacts can't be read: {error}") from error
        except Exception as error:  # boto3's errors have no root of their own
            raise InfrastructureError(f"bucket {self._bucket.bucket}: {error}") from error

    def _put(self, s3: S3Client, key: str, content: BinaryIO, stop: StopToken) -> None:
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - boto3 is an extra, and slow to import

        # The tests have the machine's cores.
        config = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
        )
        large = os.fstat(content.fileno()).st_size >= _PART_BYTES
        s3.upload_fileobj(
            _UntilStopped(content, stop) if large else content,  # type: ignore[arg-type]
            self._bucket.bucket,
            key,
            ExtraArgs={"ContentType": content_type(key)},
            Config=config,
        )

    def _old_days(self, s3: S3Client) -> list[str]:
        """The old days' prefixes, oldest first."""
        root = self._scope.place.root
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.bucket, Prefix=root, Delimiter="/"
        )
        found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])]
        return sorted(each for each in found if self._scope.is_old(each.removeprefix(root).rstrip("/")))

    def _delete(self, s3: S3Client, prefix: str, stop: StopToken) -> None:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.bucket, Prefix=prefix, PaginationConfig={"PageSize": _MOST_DELETED}
        )
        for page in pages:
            go_on(stop)
            keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if not keys:
                continue
            answer = s3.delete_objects(
                Bucket=self._bucket.bucket,
                Delete={"Objects": keys, "Quiet": True},  # type: ignore[typeddict-item]
            )
            # Some stores say so of what another runner has just deleted: it is gone, as it should be.
            errors = [each for each in answer.get("Errors", []) if each.get("Code") != "NoSuchKey"]
            if errors:
                first = errors[0]
                raise InfrastructureError(f"{first.get('Key')} can't be deleted: {first.get('Code')}")


class _UntilStopped:
    """A file that is read part by part, each before its request: within one, an error would be tried again."""

    def __init__(self, content: BinaryIO, stop: StopToken) -> None:
        self._content = content
        self._stop = stop
        self.seek, self.tell = content.seek, content.tell

    def read(self, size: int = -1) -> bytes:
        go_on(self._stop)
        return self._content.read(size)
