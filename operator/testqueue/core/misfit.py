"""Whether a target itself is what keeps its batches from running, by how its last one ended.

The operator can't know what is in a runner's image; the runner says so, and the target's condition hands it on to
whoever can mend the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import TARGET_REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testqueue.core.model import BatchView


def misfit(last: BatchView | None, ready: Mapping[str, Any], *, edited: bool) -> tuple[str, str]:
    """The reason and message for the target's Ready condition; two empty texts where nothing is known against it.

    `last` is its batch that was over last, `ready` its condition so far (empty where there is none), `edited` whether
    its spec has changed since that was written. An edit is trusted until another batch has ended: what ended before
    the condition last turned to True is known, and forgiven.
    """
    if last is None or last.reason not in TARGET_REASONS or edited:
        return "", ""
    since = lifecycle.parse_time(ready.get("lastTransitionTime"))
    forgiven = ready.get("status") == "True" and since is not None and _ended(last) < since.timestamp()
    return ("", "") if forgiven else (last.reason, last.message)


def _ended(batch: BatchView) -> float:
    return batch.finished or batch.created
