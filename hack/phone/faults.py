"""What can be made to go wrong with the phone."""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = {
    "vanish": "drops every adb connection and refuses new ones",
    "hang": "takes connections and commands, answers nothing",
    "ui-hang": "its UiAutomator2 server takes commands, answers none, until another is started; adb is well",
    "install": "refuses every install; ':REASON' says why, a code or a text (INSTALL_FAILED_INSUFFICIENT_STORAGE)",
    "unauthorized": "drops every adb connection, and asks each new one for a key that it does not take",
    "reboot": "drops every adb connection and all processes, and is back after ':SECONDS' (1)",
    "no-packages": "has booted, but its package service has crashed: pm and installs fail",
    "storage-full": "has only ':MEGABYTES' (0) left in /data, and installs nothing",
    "boot": "boots as an emulator does, in ':SECONDS' (30): for a quarter each its port is closed, it is offline, "
    "Android boots, and the package manager is missing",
    "slow-boot": "answers, but has booted only after ':SECONDS' (30)",
    "none": "all is well again",
}

_TEXT = re.compile(
    r"(vanish|hang|ui-hang)-after:(\d+)|(install):([^\n\]]+)"
    r"|(vanish|hang|ui-hang|install|unauthorized|reboot|no-packages|storage-full|boot|slow-boot|none)(?::(\w+))?"
)


class UnknownFaultError(ValueError):
    """The text names no fault. Its message lists them."""


@dataclass(frozen=True)
class Fault:
    """One fault. With `after`, it begins when the phone has answered so many more UiAutomator2 commands."""

    kind: str = "none"
    detail: str = ""
    after: int = 0


def parse(text: str) -> Fault:
    """Reads `vanish`, `vanish-after:5`, `hang`, `install:INSTALL_FAILED_…: why`, `slow-boot:30`, `none`.

    Raises UnknownFaultError.
    """
    m = _TEXT.fullmatch(text.strip())
    if not m:
        known = "; ".join(f"{k}: {v}" for k, v in KINDS.items())
        raise UnknownFaultError(
            f"no fault {text.strip()!r}. {known}; vanish-after:N, hang-after:N and ui-hang-after:N commands"
        )
    if m[1]:
        return Fault(m[1], after=int(m[2]))
    return Fault(m[3] or m[5], detail=m[4] or m[6] or "")
