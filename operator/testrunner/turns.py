"""Whose turn it is: the next TestJob that the batch has claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qgjob.client import ClientError

from .answers import is_away, pause
from .endings import Abandoned
from .standing import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable

    from qgjob.api.testbatch import BatchJob

    from .claims import Claims
    from .clock import Clock
    from .interruption import Interruption
    from .record import BatchRecord
    from .reporting import Job

#: An entry that has no claim yet is waited for so long: the operator may be just about to write it.
CLAIM_SECONDS: Final = 2.0
CLAIM_LOOK_SECONDS: Final = 0.25


class Turns:
    """Looks again before it says that nothing is left."""

    def __init__(
        self, record: BatchRecord, claims: Claims, *, interruption: Interruption, clock: Clock
    ) -> None:
        self._record = record
        self._claims = claims
        self._interruption = interruption
        self._clock = clock

    def next(self, check: Callable[[], None]) -> tuple[BatchJob, Job] | None:
        """The next TestJob of this pod; None where there is none and none is about to be claimed.

        While the server is away it waits; `check` is called every time around and may raise. Raises Abandoned
        where the batch isn't this pod's any more.
        """
        began = self._clock.monotonic()
        tries = 0
        while True:
            check()
            if found := self._seen():
                return found
            try:
                whose = self._record.read()
                if whose is not Ownership.MINE:
                    raise Abandoned(whose.value)
                self._claims.look()
                if found := self._seen():
                    return found
                unclaimed = self._claims.any_unclaimed(self._record.entries)
            except ClientError as error:
                if not is_away(error):
                    raise
                tries += 1
                self._interruption.pause(pause(tries))
                continue
            if not unclaimed or self._clock.monotonic() - began > CLAIM_SECONDS:
                return None
            self._interruption.pause(CLAIM_LOOK_SECONDS)

    def _seen(self) -> tuple[BatchJob, Job] | None:
        return next(self._claims.open(self._record.entries), None)
