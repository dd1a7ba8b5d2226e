"""What orgs may have of a target: weights and quotas, as its spec says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

#: The account of all orgs that are not listed, where they share one. No org's id is empty.
UNLISTED: Final = ""


class Share(NamedTuple):
    """One org's. Limits are None where there are none."""

    weight: int = 1
    max_running: int | None = None
    max_waiting: int | None = None

    @classmethod
    def from_object(cls, obj: dict[str, Any]) -> Share:
        """The view of an org of a target's spec.fairness, or of its `unlisted`."""
        return cls(obj.get("weight", 1), obj.get("maxRunning"), obj.get("maxWaiting"))


EVEN: Final = Share()


@dataclass(frozen=True, slots=True)
class Shares:
    """Everybody's."""

    listed: dict[str, Share] = field(default_factory=dict)
    unlisted: Share = EVEN
    shared: bool = False
    cancels: bool = False

    @property
    def limits_waiting(self) -> bool:
        """Whether it could be that somebody has too many TestJobs that wait."""
        return any(share.max_waiting is not None for share in (*self.listed.values(), self.unlisted))

    def of(self, org: str) -> Share:
        """What an org may have."""
        return self.listed.get(org, self.unlisted)

    def account(self, org: str) -> str:
        """On whose account an org's device seconds go: its own, or the strangers' common one."""
        return org if org in self.listed or not self.shared else UNLISTED

    @classmethod
    def from_target_spec(cls, spec: dict[str, Any]) -> Shares:
        """Read them from a TestTarget's spec as the API server returns it."""
        fairness = spec.get("fairness") or {}
        unlisted = fairness.get("unlisted") or {}
        return cls(
            listed={org["orgId"]: Share.from_object(org) for org in fairness.get("orgs") or ()},
            unlisted=Share.from_object(unlisted),
            shared=unlisted.get("shared", False),
            cancels=fairness.get("overQuota") == "Cancel",
        )
