"""What a batch's end says of its device, and what follows: trust, quarantine, its end.

The memory is the target's status. A batch counts when its lease is taken back, in the same write, so each counts
once, whoever leads. A device is blamed only for what is its own:

- The runner has measured it: it does not answer, has not booted, has no space, was lost (DEVICE_REASONS).
- It got less far with an app version than another device of the target did: an install that was refused, or a batch
  in which nothing came to a result. Where nobody else got further, the app or the tests may be at fault, and a phone
  after the other would be quarantined for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from qgjob.api.constants import DEVICE_REASONS
from qgjob.api.lifecycle import clip
from testqueue.core.model import DeviceLease, date_time

if TYPE_CHECKING:
    from testqueue.core.model import BatchView, DeviceView, HealthPolicy, TargetView

Verdict = Literal["well", "unfit", "unclear"]

#: An install that the device refused, or that did not end.
INSTALL_FAILED: Final = "InstallFailed"
NO_HEALTHY_DEVICE: Final = "NoHealthyDevice"
#: A message names so many devices.
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How far the same app version came on the target's other devices."""

    installed: bool = False
    tested: bool = False


def verdict(batch: BatchView, elsewhere: Elsewhere) -> Verdict:
    """What the end of a batch says of the device that it had."""
    if batch.phase == "Failed" and batch.reason in DEVICE_REASONS:
        return "unfit"
    if batch.passed or batch.failed:
        return "well"
    if batch.tests_run:
        if not batch.infrastructure:
            return "well"  # it was installed; all was given back or cancelled
        return "unfit" if elsewhere.tested else "unclear"
    if batch.phase == "Failed" and batch.reason == INSTALL_FAILED:
        return "unfit" if elsewhere.installed else "unclear"
    return "unclear"


def after(
    lease: DeviceLease, said: Verdict, batch: BatchView | None, policy: HealthPolicy, now: float
) -> DeviceLease:
    """The device once its batch (None: it is not known any more) has let go of it."""
    freed = lease._replace(batch="", since=None)
    if said == "well":
        return DeviceLease(lease.name, address=lease.address)
    if said == "unclear" or batch is None:
        return freed
    failures = lease.failures + 1
    until = None
    if failures >= policy.failures:
        until = date_time(now + quarantine_seconds(failures - policy.failures, policy))
    return freed._replace(failures=failures, until=until, reason=batch.reason, message=clip(batch.message))


def quarantine_seconds(earlier: int, policy: HealthPolicy) -> float:
    """How long a quarantine lasts that so many others went before: each is twice as long as the last one."""
    # The exponent is bounded because the cap has been reached long before.
    return min(policy.backoff_seconds * 2.0 ** min(earlier, 32), policy.max_backoff_seconds)


def idle(lease: DeviceLease | None, device: DeviceView, note: str) -> DeviceLease:
    """How a device of the spec reads that no batch has. `note`: what else people should know of it.

    To take a device out by hand and put it back forgets what it had failed: somebody has seen to it. So does another
    address, behind which there is another phone.
    """
    if lease is not None and _needs_nothing(lease, device, note):
        return lease  # as most do, in every pass
    fresh = DeviceLease(device.name, address=device.address)
    if device.drained:
        return fresh._replace(state="Drained")
    if lease is None or lease.state == "Drained" or lease.address not in {"", device.address}:
        return fresh._replace(message=note)
    known = lease._replace(address=device.address)
    if lease.on_probation:
        return known._replace(state="Quarantined")
    return known._replace(state="Free", message=lease.message if lease.failures else note)


def _needs_nothing(lease: DeviceLease, device: DeviceView, note: str) -> bool:
    settled = lease.state == "Free" and not (lease.batch or lease.failures or device.drained)
    return settled and lease.address == device.address and lease.message == note


def unfit_pool(target: TargetView) -> str:
    """Why no device of a target can take a batch, for people; empty where one can, busy or not."""
    known = {lease.name: lease for lease in target.leases}
    words = []
    for device in target.devices:
        lease = known.get(device.name)
        if lease is None:
            return ""
        if lease.state == "Drained":
            words.append(f"{device.name} is drained")
        elif lease.on_probation:
            why = f" ({lease.reason})" if lease.reason else ""
            words.append(f"{device.name} is quarantined{why}")
        else:
            return ""
    if not words:
        return ""
    more = len(words) - _NAMED
    listed = "; ".join(words[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"no device can take a batch: {listed}. What is quarantined is tried again by itself"
