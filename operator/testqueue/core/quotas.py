"""TestJobs beyond what their org may have in a target's line: told so, or refused, as the target says."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

from testqueue.core.actions import Action, ExplainJob, RefuseJob

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from testqueue.core.model import Key, TargetView
    from testqueue.core.store import Store

QUOTA_EXCEEDED: Final = "QuotaExceeded"
#: An org's whole line is gone through for this, so not in every pass.
PAUSE_SECONDS: Final = 1.0


class Quotas:
    """Finds them. Remembers only when it last looked at whom."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked: dict[tuple[Key, str], float] = {}

    def beyond(self, claimed: AbstractSet[Key], now: float) -> tuple[list[Action], float]:
        """What to do about them, and when to look again. `claimed`: what this pass takes out of the lines."""
        found: list[Action] = []
        again = math.inf
        looked: dict[tuple[Key, str], float] = {}
        for target in self._store.targets:
            if not target.shares.limits_waiting:
                continue
            excess = {
                org: over
                for org in self._store.heads(target.key)
                if (limit := target.shares.of(org).max_waiting) is not None
                and (over := self._store.waiting_of(target.key, org) - limit) > 0
            }
            if not target.shares.cancels and self._all_told(target.key, excess):
                continue
            for org, over in excess.items():
                last = self._looked.get((target.key, org), -math.inf)
                if now < last + PAUSE_SECONDS:
                    looked[target.key, org] = last
                else:
                    looked[target.key, org] = now
                    found += self._act(target, org, over, claimed)
                again = min(again, looked[target.key, org] + PAUSE_SECONDS)
        self._looked = looked
        return found, again

    def _all_told(self, target: Key, excess: dict[str, int]) -> bool:
        return self._store.count_because(target, QUOTA_EXCEEDED) >= sum(excess.values())

    def _act(self, target: TargetView, org: str, over: int, claimed: AbstractSet[Key]) -> list[Action]:
        """About an org's newest TestJobs: those that are one too many have come last."""
        line = [job for head in self._store.heads(target.key)[org] for job in self._store.line(head.lane)]
        over -= sum(job.key in claimed for job in line)
        unheard = [job for job in line if job.reason != QUOTA_EXCEEDED and job.key not in claimed]
        over -= sum(job.reason == QUOTA_EXCEEDED for job in line)
        # What has run before was within the quota.
        fresh = [job for job in unheard if not job.attempt]
        newest = heapq.nlargest(max(over, 0), fresh, key=lambda job: (job.queued, job.name))
        limit = target.shares.of(org).max_waiting
        kept = f"org {org} may have {limit} TestJobs waiting for TestTarget {target.name}, and has more"
        if target.shares.cancels:
            message = f"{kept}: submit it again when fewer of them wait"
            return [RefuseJob(job, QUOTA_EXCEEDED, message) for job in newest]
        return [
            ExplainJob(job, QUOTA_EXCEEDED, f"{kept}: it waits for those that came before") for job in newest
        ]
