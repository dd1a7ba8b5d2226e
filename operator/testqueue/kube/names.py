"""Fresh names for batches."""

from __future__ import annotations

import secrets
import string
from typing import Final

_ALPHABET: Final = string.ascii_lowercase + string.digits
#: Every name has the same length, so that no batch's name is the beginning of another's pod's name.
_RANDOM: Final = 12


def new_batch_name() -> str:
    """Return `tb-` and 12 random characters: about 62 bits, so that two operators never choose the same."""
    return "tb-" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
