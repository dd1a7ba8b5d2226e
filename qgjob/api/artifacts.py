"""Where the artifacts of an attempt are: the key of its folder in a store, and the link to it. Pure.

The runner writes there and the command line reads there, so a key can be told from the TestJob alone:

    {prefix}/{namespace}/{target}/{YYYY-MM-DD}/{testjob}-{uid}/{attempt}/

Namespace and target stand before the date, so that a target which deletes what is older than its retentionDays
has only its own days before it, also in a bucket and prefix that it shares with others. The standard library is all
that this module needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest link that a status holds; a longer one is left out, which costs no result.
MAX_LINK_CHARACTERS: Final = 1024
#: Characters of the TestJob's uid in a key: a TestJob that was deleted and created anew is another one.
_UID_CHARACTERS: Final = 8

#: Files of an attempt that qgjob itself writes.
LOG: Final = "log.txt"
ABOUT: Final = "attempt.json"
LEFT_OUT: Final = "left-out.txt"


def attempt_path(job: str, uid: str, attempt: int) -> str:
    """How every key of an attempt ends, but for the last '/': no other attempt has it."""
    return f"{job}-{uid[:_UID_CHARACTERS]}/{attempt}"


def stays_inside(name: str) -> bool:
    """Whether a file's path leads out of no folder, on whatever system it is written: tests chose it."""
    parts = name.split("/")
    climbs = any(part in ("", ".", "..") for part in parts)
    return not climbs and "\\" not in name and name.isprintable() and not PureWindowsPath(name).drive


@dataclass(frozen=True, slots=True)
class Place:
    """A target's part of a store."""

    #: What stands before a key in a link; ends with '/'.
    base_url: str
    #: Keys of this target begin so; ends with '/'.
    root: str

    @classmethod
    def of(cls, artifacts: Mapping[str, Any], namespace: str, target: str) -> Place:
        """The place that a TestTarget's `spec.artifacts` (as the API server returns it) describes."""
        root = f"{namespace}/{target}/"
        if bucket := artifacts.get("s3"):
            endpoint = (
                bucket.get("endpoint") or f"https://s3.{bucket.get('region', 'us-east-1')}.amazonaws.com"
            )
            base = f"{endpoint.rstrip('/')}/{bucket['bucket']}/"
            prefix = str(bucket.get("prefix", "qgjob")).strip("/")
            root = f"{prefix}/{root}" if prefix else root
        else:
            base = f"pvc://{artifacts['persistentVolumeClaim']['claimName']}/"
        if link := artifacts.get("linkUrl"):
            base = f"{link.rstrip('/')}/"
        return cls(base, root)

    def key(self, *, started: str, job: str, uid: str, attempt: int) -> str:
        """The key of an attempt's folder; `started` is its startTime as its status has it. Ends with '/'."""
        return f"{self.root}{started[:10]}/{attempt_path(job, uid, attempt)}/"

    def url(self, key: str) -> str:
        """The link to a folder or file."""
        return self.base_url + quote(key)

    def link(self, key: str) -> str:
        """The link for a status: empty where it is longer than a status holds."""
        url = self.url(key)
        return url if len(url) <= MAX_LINK_CHARACTERS else ""
