"""Whose turn it is at a target, and who rides along.

Among orgs, the one that stands lowest in the ledger is next, whatever its TestJobs' priorities; within an org, its
most urgent TestJob. That one's lane opens the batch. What else rides must not be far less urgent than what its own org
has to wait for elsewhere, and another org's TestJobs must not bring it beyond where the opener stands then.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from testqueue.core.batching import last_rider, least_seconds, share, turn_seconds
from testqueue.core.model import Key, Turn
from testqueue.core.shares import UNLISTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from testqueue.core.estimates import Estimates
    from testqueue.core.model import Group, JobView, Lane, TargetView
    from testqueue.core.store import Head, Store

#: A group is cut into so many batches at most in one look at it: more TestJobs are not looked at.
_PIECES: Final = 8
#: Of thousands of orgs that are new, so many are looked at together.
_AT_ONCE: Final = 64


class Formed(NamedTuple):
    """What goes into a batch: TestJobs in running order, how long each is expected to run, and whose turn it is."""

    lane: Lane
    jobs: tuple[JobView, ...]
    seconds: tuple[float, ...]
    turn: Turn


class Kept(NamedTuple):
    """A place that is kept for a lane that has just come and still grows."""

    lane: Lane


class _Next(NamedTuple):
    """A lane's first TestJob that no batch of this pass has."""

    score: float
    name: str
    lane: Lane
    place: int
    #: It came from the index, which has the account's next one.
    indexed: bool


@dataclass(slots=True)
class _Account:
    name: str
    weight: int
    heads: Iterator[Head]
    next: list[_Next] = field(default_factory=list)
    floor: float = 0.0
    level: float = 0.0

    @property
    def rank(self) -> tuple[float, float, str]:
        """The lowest is next: among those that stand alike, the one with the most urgent TestJob."""
        return self.level, self.next[0].score, self.name


class Turns:
    """One target's turns in one pass."""

    def __init__(
        self,
        target: TargetView,
        store: Store,
        estimates: Estimates,
        *,
        slots: int,
        hold: Callable[[Group], float],
        gathered: Callable[[Lane], float],
        now: float,
    ) -> None:
        """`slots`: the target's, busy or free. `hold` tells until when a group waits for something else than its turn.

        `gathered`: until when a lane is left to grow. `now` and what these tell are in seconds since the epoch.
        """
        self._target = target
        self._store = store
        self._ledger = store.ledger(target.key)
        self._estimates = estimates
        self._slots = slots
        self._install = estimates.install(target.key)
        self._left = store.waiting_at(target.key)
        self._hold = hold
        self._gathered = gathered
        #: Whether a place is kept for somebody.
        self.keeps = False
        self._now = now
        #: When a lane that was passed over may have a turn, in seconds since the epoch.
        self.again = math.inf
        self._held: dict[Group, bool] = {}
        self._running: defaultdict[str, int] = defaultdict(int)
        self._places: defaultdict[Lane, int] = defaultdict(int)
        self._accounts: dict[str, _Account] = {}
        self._line: list[tuple[tuple[float, float, str], str]] = []
        #: Orgs that had nothing yet and were not looked at, the one that came first in front; and those that were.
        self._strangers: list[tuple[float, float, str]] = []
        self._met: set[str] = set()
        self._enter()

    def next_score(self) -> float | None:
        """The score of the TestJob whose turn is next, if there is one."""
        account = self._first()
        return account.next[0].score if account else None

    def form(self, slots: int, *, trial: bool) -> Formed | Kept | None:
        """The next batch, where so many slots are free; None where nobody may have one.

        A trial has one TestJob.
        """
        account = self._first()
        if account is None:
            return None
        heapq.heappop(self._line)
        lane = self._pop(account).lane
        self._refresh(account)
        if not self._places[lane] and (gathered := self._gathered(lane)) > self._now:
            # A batch of the next one would have the place for minutes.
            self.again, self.keeps = min(self.again, gathered), True
            self._met.discard(account.name)
            self._offer(account)
            return Kept(lane)
        rival = self._first()
        most = 1 if trial else self._target.max_tests * min(slots, _PIECES)
        own = self._store.line(
            lane,
            start=self._places[lane],
            most=most,
            up_to=self._last_rider(account.next[0].score if account.next else None),
        )
        riders = [(job, self._estimates.test(job)) for job in own]
        longest = self._longest(contended=rival is not None)
        if not trial and not self._target.isolate_orgs:
            bound = math.inf
            if rival is not None:
                own_seconds = min(sum(seconds for _, seconds in riders), longest)
                bound = max(rival.level, account.level + (self._install + own_seconds) / account.weight)
            riders += self._guests(lane, most - len(own), bound)
        count = share([seconds for _, seconds in riders], self._target, self._install, slots, longest)
        taken = riders[:count]
        turn = self._charge(account, lane.org, taken)
        self._push_rest(account, lane)
        self._offer(account)
        return Formed(lane, tuple(job for job, _ in taken), tuple(each for _, each in taken), turn)

    def _enter(self) -> None:
        """Have the accounts with a TestJob that may run stand in line."""
        shares, heads = self._target.shares, self._store.heads(self._target.key)
        shared: list[str] = []
        for org in heads:
            if shares.account(org) == UNLISTED:
                shared.append(org)
            elif org in self._ledger:
                self._open(org, iter(heads[org]))
            else:
                first = heads[org][0]
                self._strangers.append((self._arrival(first), first.score, org))
        if shared:
            self._open(UNLISTED, heapq.merge(*(heads[org] for org in shared)))
        heapq.heapify(self._strangers)

    def _meet(self) -> None:
        """Have some more strangers stand in line: whoever came later stands no lower."""
        heads = self._store.heads(self._target.key)
        for _ in range(min(len(self._strangers), _AT_ONCE)):
            *_, org = heapq.heappop(self._strangers)
            if self._open(org, iter(heads[org])):
                self._met.add(org)

    def _open(self, name: str, heads: Iterator[Head]) -> bool:
        account = _Account(name, self._target.shares.of(name).weight, heads)
        self._pull(account)
        if not account.next:
            return False
        self._place(account)
        self._accounts[name] = account
        self._offer(account)
        return True

    def _arrival(self, head: Head | _Next) -> float:
        job = self._store.jobs.get(Key(head.lane.namespace, head.name))
        return job.arrived if job else self._now

    def _place(self, account: _Account) -> None:
        """Where it stands, since its first one came."""
        shares = self._target.shares
        clock = self._ledger.clock(self._arrival(account.next[0]))
        members = [account.name]
        if account.name == UNLISTED:
            members = [org for org in self._ledger.orgs if shares.account(org) == UNLISTED]
        level = self._ledger.level(members, account.weight)
        account.floor = clock.start
        account.level = clock.end if level is None else max(level, clock.start)

    def _first(self) -> _Account | None:
        """The account whose turn is next; it stays in the line."""
        while True:
            while self._strangers and not self._met:
                self._meet()
            if not self._line:
                return None
            rank, name = self._line[0]
            account = self._accounts[name]
            self._refresh(account)
            if account.next and account.rank == rank:
                return account
            heapq.heappop(self._line)
            self._offer(account)
            if not account.next:
                self._met.discard(name)

    def _offer(self, account: _Account) -> None:
        if account.next:
            heapq.heappush(self._line, (account.rank, account.name))

    def _refresh(self, account: _Account) -> None:
        """Have its first one be somebody who may have a turn."""
        while account.next:
            first = account.next[0]
            if first.place == self._places[first.lane] and self._may(first.lane):
                return
            self._push_rest(account, self._pop(account).lane)

    def _pop(self, account: _Account) -> _Next:
        first = heapq.heappop(account.next)
        if first.indexed:
            self._pull(account)
        return first

    def _pull(self, account: _Account) -> None:
        """One more from the index: what waits there is less urgent than that one."""
        for head in account.heads:
            if self._places[head.lane]:
                self._push_rest(account, head.lane)
            elif self._may(head.lane):
                heapq.heappush(account.next, _Next(*head, 0, indexed=True))
                return

    def _push_rest(self, account: _Account, lane: Lane) -> None:
        """Those of a lane that no batch of this pass has."""
        place = self._places[lane]
        head = self._store.waiting_line(lane).head(place)
        if head is not None and self._may(lane):
            heapq.heappush(account.next, _Next(*head, place, indexed=False))

    def _may(self, lane: Lane) -> bool:
        """Whether a lane may have a turn: neither held nor at its org's quota."""
        limit = self._target.shares.of(lane.org).max_running
        if limit is not None and self._ledger.running(lane.org) + self._running[lane.org] >= limit:
            return False
        held = self._held.get(lane.group)
        if held is None:
            until = self._hold(lane.group)
            held = self._held[lane.group] = until > self._now
            if held:
                self.again = min(self.again, until)
        return not held

    def _longest(self, *, contended: bool) -> float:
        """Seconds of tests in a batch; where other orgs wait, no turn is longer than it must be."""
        if contended:
            return least_seconds(self._target, self._install)
        waiting = self._left * self._estimates.usual_test(self._target.key)
        return turn_seconds(self._target, self._install, waiting, self._slots)

    def _last_rider(self, next_score: float | None) -> float:
        return last_rider(next_score, self._store.ageing_seconds)

    def _guests(self, lane: Lane, most: int, bound: float) -> list[tuple[JobView, float]]:
        """Other lanes' TestJobs of the same app version, of whoever stands lowest first, up to that level."""
        others = [
            (self._accounts[name].rank, each)
            for each in self._store.lanes(lane.group)
            if each != lane
            and (name := self._target.shares.account(each.org)) in self._accounts
            and self._accounts[name].next
            and self._may(each)
        ]
        found: list[tuple[JobView, float]] = []
        levels = {account.name: account.level for account in self._accounts.values()}
        for _, each in sorted(others):
            account = self._accounts[self._target.shares.account(each.org)]
            place = self._places[each]
            head = self._store.waiting_line(each).head(place)
            up_to = self._last_rider(account.next[0].score)
            if head is None or head.score > up_to:
                continue
            guests = self._store.line(each, start=place, most=max(most - len(found), 0), up_to=up_to)
            for job in guests:
                seconds = self._estimates.test(job)
                levels[account.name] += seconds / account.weight
                if levels[account.name] > bound:
                    break
                found.append((job, seconds))
        return found

    def _charge(self, account: _Account, org: str, taken: Sequence[tuple[JobView, float]]) -> Turn:
        turn = Turn(org, account.weight, account.floor, account.level, self._install)
        account.level += self._install / account.weight
        self._left -= len(taken)
        self._met.discard(account.name)
        for job, seconds in taken:
            payer = self._accounts[self._target.shares.account(job.org)]
            payer.level += seconds / payer.weight
            self._places[job.lane] += 1
        for each in {job.org for job, _ in taken}:
            self._running[each] += 1
        return turn
