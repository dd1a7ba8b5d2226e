"""Which start of a device this is: that of its kernel, and that of Android, which can begin anew by itself.

A phone that restarts is back before a test gives up waiting for its screen, and answers as if nothing had happened.
What a test says then is no word on the app, whatever words it uses. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BOOT: Final = "/proc/sys/kernel/random/boot_id"
#: What a device's shell is asked; one that does not tell is no failure.
QUESTION: Final = f"cat {_BOOT} || echo unknown; pidof system_server || echo unknown"
_BOOT_ID: Final = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.MULTILINE)
_PID: Final = re.compile(r"^[0-9]+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Start:
    """Empty where a device does not tell."""

    boot: str = ""
    android: str = ""

    @classmethod
    def parse(cls, answer: str) -> Start:
        """From what the shell has answered."""
        boot, android = _BOOT_ID.search(answer), _PID.search(answer)
        return cls(boot[0] if boot else "", android[0] if android else "")

    def is_over(self, now: Start) -> bool:
        """Whether it began anew since, as far as it tells."""
        pairs = ((self.boot, now.boot), (self.android, now.android))
        return any(old and new and old != new for old, new in pairs)
