"""Any history of submissions, edits, runners, losses and crashes: what the store and the planner always keep to."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qgjob.api import lifecycle
from testqueue.core.actions import CreateBatch, UpdateTarget, YieldBatch
from testqueue.core.model import BATCH_OVER, Key
from testqueue.core.store import Store

from .simulation import AGEING_SECONDS, VIEWS, Cluster, DiedError, Operator, Process, selected

if TYPE_CHECKING:
    from testqueue.core.model import TargetView
    from testqueue.core.plan import Pass

TARGETS = ("phones", "tablets", "emulators", "absent")
ORGS = ("one", "one", "two", "three")
APPS = ("shop-1", "shop-2", "shop-3")
OUTCOMES = ("passed", "failed", "infrastructure", "device")
PHONES = [{"name": f"phone-{number}", "address": f"10.0.0.{number}:5555"} for number in (1, 2, 3)]


class PlannerMachine(RuleBasedStateMachine):
    """Two targets with devices, which have a phone in common, and one without; a fourth is named but does not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.api = self.cluster.api
        self._batch_numbers = itertools.count(1)
        self._job_numbers = itertools.count(1)
        self._last_updates: list[UpdateTarget] = []
        self.operator: Operator

    def _operator(self) -> Operator:
        return Operator(self.cluster, lambda: f"tb-{next(self._batch_numbers):012d}")

    @initialize()
    def targets(self) -> None:
        # Short, so that the backoff does not hide a TestJob that comes back while it still runs.
        retry = {"backoffSeconds": 1, "infrastructureRetries": 3}
        health = {"failures": 2, "backoffSeconds": 10, "maxBackoffSeconds": 300}
        devices = {"retry": retry, "batch": {"maxTests": 3}, "health": health}
        self.api.create("testtargets", "phones", {**devices, "provider": {"devices": PHONES[:2]}})
        shared = [{"name": "tablet", "address": PHONES[0]["address"]}]
        self.api.create("testtargets", "tablets", {**devices, "provider": {"devices": shared}})
        slots = {"parallelism": 2, "retry": retry, "batch": {"maxTests": 4, "targetSeconds": 20}}
        self.api.create("testtargets", "emulators", slots)
        self.operator = self._operator()

    # People

    @rule(
        target_name=st.sampled_from(TARGETS),
        app=st.sampled_from(APPS),
        org=st.sampled_from(ORGS),
        priority=st.integers(1, 10),
        count=st.integers(1, 5),
        retries=st.integers(0, 2),
    )
    def submit(
        self, *, target_name: str, app: str, org: str, priority: int, count: int, retries: int
    ) -> None:
        for _ in range(count):
            number = next(self._job_numbers)
            spec = {
                "orgId": org,
                "appVersionId": app,
                "test": f"tests/{number % 7}.spec.ts",
                "target": target_name,
                "priority": priority,
                "maxRetries": retries,
                "replays": 0,
            }
            self.api.create("testjobs", f"job-{number:04d}", spec)

    @precondition(lambda self: self.api.objects["testjobs"])
    @rule(data=st.data(), edit=st.sampled_from(["cancel", "replay", "priority", "delete"]))
    def edit(self, data: st.DataObject, edit: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.api.objects["testjobs"])))
        spec = self.api.objects["testjobs"][name]["spec"]
        if edit == "delete":
            self.api.delete("testjobs", name)
        else:
            edits: dict[str, dict[str, Any]] = {
                "cancel": {"cancel": True},
                "replay": {"replays": spec["replays"] + 1},
                "priority": {"priority": 10},
            }
            self.api.change("testjobs", name, spec=edits[edit], version=None)

    @rule(
        phones=st.sets(st.integers(1, 2)),
        renamed=st.sets(st.integers(0, 2)),
        drained=st.sets(st.integers(0, 2)),
        parallelism=st.sampled_from([None, None, 0, 1, 2]),
    )
    def change_the_phones(
        self, phones: set[int], renamed: set[int], drained: set[int], parallelism: int | None
    ) -> None:
        """The first one, which the tablets share, is always there, if under another name."""
        devices = [
            {
                "name": PHONES[index]["name"] + ("-new" if index in renamed else ""),
                "address": PHONES[index]["address"],
                "drained": index in drained,
            }
            for index in sorted({0, *phones})
        ]
        spec = {"provider": {"devices": devices}, "parallelism": parallelism}
        self.api.change("testtargets", "phones", spec=spec, version=None)

    # The operator

    @rule()
    def plan_with_an_old_cache(self) -> None:
        self.operator.write(self._checked_plan().actions)

    @rule(count=st.integers(1, 10))
    def watch_some(self, count: int) -> None:
        self.operator.watch(count)

    @rule()
    def plan_up_to_date(self) -> None:
        self.operator.watch()
        planned = self._checked_plan()
        self._nothing_due_waits_while_a_slot_is_free(planned)
        self.operator.write(planned.actions)

    @rule()
    def relist(self) -> None:
        self.operator.relist()

    @rule(writes=st.integers(0, 12))
    def die_in_the_middle_and_start_again(self, writes: int) -> None:
        self.operator.watch()
        with contextlib.suppress(DiedError):
            self.operator.write(self._checked_plan().actions, writes)
        self.operator = self._operator()

    @rule()
    def another_operator_plans_too(self) -> None:
        """One that believes it leads: its writes meet this one's old cache."""
        other = self._operator()
        other.write(other.plan().actions)

    # Runners and nodes

    @rule(outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=8))
    def all_go_on(self, outcomes: list[str]) -> None:
        self.plan_up_to_date()
        self._start_pods()
        for process in self._unowned():
            self.cluster.take(process)
        for process in self.cluster.owners():
            for outcome in outcomes:
                if process in self.cluster.owners():
                    self._one_step(process, outcome)
                    self.no_test_runs_twice_at_once()

    @precondition(lambda self: self.cluster.pods_missing())
    @rule()
    def start_pods(self) -> None:
        self._start_pods()

    @precondition(lambda self: self._unowned())
    @rule()
    def take_the_batches(self) -> None:
        for process in self._unowned():
            self.cluster.take(process)

    @precondition(lambda self: self.cluster.owners())
    @rule(data=st.data(), outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=8))
    def go_on_with_a_batch(self, data: st.DataObject, outcomes: list[str]) -> None:
        process = data.draw(st.sampled_from(self.cluster.owners()))
        for outcome in outcomes:
            if process not in self.cluster.owners():
                return
            self._one_step(process, outcome)

    @precondition(lambda self: self._with_a_pod())
    @rule(data=st.data(), how=st.sampled_from(["killed", "evicted", "vanished", "cut off"]))
    def lose_a_pod(self, data: st.DataObject, how: str) -> None:
        process = data.draw(st.sampled_from(self._with_a_pod()))
        if how == "vanished":
            self.cluster.vanish(process)
        elif how == "cut off":
            self.cluster.cut_off(process)
        else:
            self.cluster.kill(process, evicted=how == "evicted")

    @precondition(lambda self: self.api.objects["testbatches"])
    @rule(data=st.data())
    def delete_a_batch(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.api.objects["testbatches"])))
        self.api.delete("testbatches", name)
        for process in self.cluster.processes:
            if process.batch != name or process.pod not in self.api.objects["pods"]:
                continue
            # Its pod is collected with the batch; a runner that still runs notices at its next look.
            self.api.delete("pods", process.pod)
            if process.dies_at is None:
                process.dies_at = self.api.now + 20

    @rule(seconds=st.sampled_from([1, 1, 4, 4, 20, 61, 61, 400]))
    def time_passes(self, seconds: int) -> None:
        self.api.now += seconds

    # What always holds

    @invariant()
    def no_test_runs_twice_at_once(self) -> None:
        running = Counter(each.running for each in self.cluster.alive() if each.running)
        assert max(running.values(), default=0) <= 1, running

    @invariant()
    def no_device_is_used_by_two_runners(self) -> None:
        users = Counter(each.address for each in self.cluster.alive() if each.address and each.owns)
        assert max(users.values(), default=0) <= 1, users

    @invariant()
    def a_device_has_failed_no_more_often_than_batches_ended_badly_on_it(self) -> None:
        """Whoever leads, and whatever was planned again: each batch counts once."""
        for target in self.api.objects["testtargets"].values():
            for device in target["status"].get("devices", ()):
                ended = [
                    each
                    for each in self.cluster.processes
                    if each.device == device["name"]
                    and (each.blames or not (each.outcomes["passed"] or each.outcomes["failed"]))
                ]
                assert device["failures"] <= len(ended), (device, ended)

    @invariant()
    def the_store_never_goes_back(self) -> None:
        if not hasattr(self, "operator"):
            return
        seen = self.operator.newest
        for table in (self.operator.store.jobs, self.operator.store.batches, self.operator.store.targets):
            for view in table:
                assert view.version >= seen.get((type(view), view.key), 0)
                seen[type(view), view.key] = view.version

    @invariant()
    def the_store_counts_what_it_holds(self) -> None:
        if not hasattr(self, "operator"):
            return
        store = self.operator.store
        waiting = Counter(
            (job.namespace, job.target, job.priority) for job in store.jobs if job.phase in lifecycle.WAITING
        )
        assert store.waiting() == waiting

    @invariant()
    def an_updated_store_equals_one_that_is_listed_anew(self) -> None:
        if not hasattr(self, "operator") or self.operator.lag:
            return
        store = self.operator.store
        for kind, table in (
            ("testjobs", store.jobs),
            ("testbatches", store.batches),
            ("testtargets", store.targets),
        ):
            objects = self.api.objects[kind].values()
            expected = [VIEWS[kind].from_object(obj) for obj in objects if selected(kind, obj)]
            assert {view.name: view for view in table} == {view.name: view for view in expected}

    def _checked_plan(self) -> Pass:
        """A pass, with what must hold of it however old the cache is."""
        planned = self.operator.plan()
        self._last_updates = [each for each in planned.actions if isinstance(each, UpdateTarget)]
        created = [batch for each in self._last_updates for batch in each.batches]
        assert not any(isinstance(each, CreateBatch) for each in planned.actions)
        self._only_what_may_run_now(created)
        self._no_testjob_in_two_batches(created)
        self._no_device_leased_twice(planned)
        self._no_address_given_away_twice(created)
        self._quarantine_and_drain_are_kept(created)
        self._never_more_batches_than_slots(created)
        self._the_most_urgent_of_an_org_go_first(created)
        self._one_batch_yields_at_a_time(planned)
        return planned

    def _only_what_may_run_now(self, created: list[CreateBatch]) -> None:
        for job in (job for batch in created for job in batch.jobs):
            assert job.phase in lifecycle.WAITING
            assert job.due <= self.api.now
            assert not job.cancel

    def _no_testjob_in_two_batches(self, created: list[CreateBatch]) -> None:
        names = Counter(job.name for batch in created for job in batch.jobs)
        assert max(names.values(), default=0) <= 1, names
        for batch in self.operator.store.batches:
            if batch.phase not in BATCH_OVER and not batch.pod:
                named = {(entry.name, entry.uid, entry.attempt) for entry in batch.entries}
                planned = {(job.name, job.uid, job.attempt + 1) for each in created for job in each.jobs}
                assert not named & planned

    def _no_device_leased_twice(self, planned: Pass) -> None:
        for action in planned.actions:
            if not isinstance(action, UpdateTarget):
                continue
            names = Counter(lease.name for lease in action.leases)
            batches = Counter(lease.batch for lease in action.leases if lease.batch)
            assert max(names.values(), default=0) <= 1
            assert max(batches.values(), default=0) <= 1
            for batch in self.operator.store.live_batches(action.target.key):
                assert not any(each.device and each.device.name == batch.device for each in action.batches)

    def _no_address_given_away_twice(self, created: list[CreateBatch]) -> None:
        users = Counter(batch.device.address for batch in created if batch.device)
        users.update(batch.address for batch in self.operator.store.all_live_batches() if batch.address)
        assert max(users.values(), default=0) <= 1, users

    def _quarantine_and_drain_are_kept(self, created: list[CreateBatch]) -> None:
        for batch in created:
            if batch.device is None:
                assert not batch.trial
                continue
            assert not batch.device.drained
            update = next(each for each in self._last_updates if batch in each.batches)
            lease = next(each for each in update.leases if each.name == batch.device.name)
            assert batch.trial == lease.on_probation
            assert lease.tried_from <= self.api.now
            if batch.trial:
                assert len(batch.jobs) == 1
                assert lease.failures >= 2

    def _never_more_batches_than_slots(self, created: list[CreateBatch]) -> None:
        for target in self.operator.store.targets:
            fresh = [batch for batch in created if batch.target.name == target.name]
            live = len(self.operator.store.live_batches(target.key))
            limit = target.parallelism
            if limit is not None and fresh:
                assert live + len(fresh) <= limit
            assert all(len(batch.jobs) <= target.max_tests for batch in fresh)

    def _the_most_urgent_of_an_org_go_first(self, created: list[CreateBatch]) -> None:
        taken = {job.key for batch in created for job in batch.jobs}
        by_lane: defaultdict[Any, list[float]] = defaultdict(list)
        for job in (job for batch in created for job in batch.jobs):
            by_lane[job.lane].append(job.queued - job.priority * AGEING_SECONDS)
        for lane, scores in by_lane.items():
            assert scores == sorted(scores)
            left = [job for job in self.operator.store.line(lane) if job.key not in taken]
            assert all(job.queued - job.priority * AGEING_SECONDS >= scores[-1] for job in left)

    def _one_batch_yields_at_a_time(self, planned: Pass) -> None:
        for action in planned.actions:
            if isinstance(action, YieldBatch):
                live = self.operator.store.live_batches(Key(action.batch.namespace, action.batch.target))
                assert action.batch in live
                assert action.batch.tests_run
                assert not any(batch.yields for batch in live)

    def _nothing_due_waits_while_a_slot_is_free(self, planned: Pass) -> None:
        """Judged from the API's objects, not from the store's own indexes."""
        store, now = self.operator.store, self.api.now
        updates = {each.target.name: each for each in planned.actions if isinstance(each, UpdateTarget)}
        named = {
            (entry.name, entry.uid, entry.attempt)
            for batch in store.batches
            if not batch.over and not batch.pod
            for entry in batch.entries
        }
        for target in store.targets:
            batches = updates[target.name].batches if target.name in updates else ()
            taken = {job.name for batch in batches for job in batch.jobs}
            live = store.live_batches(target.key)
            leased = {lease.name: lease.batch for lease in target.leases if lease.batch}
            orphans = {
                batch
                for batch in leased.values()
                if batch not in self.api.objects["testbatches"] and not self._known_gone(batch)
            }
            running = len({*(batch.name for batch in live), *orphans}) + len(batches)
            free = len(self._usable(target, updates)) if target.has_devices else target.slots - running
            if target.has_devices and target.parallelism is not None:
                free = min(free, target.parallelism - running)
            if free <= 0:
                continue
            for obj in self.api.objects["testjobs"].values():
                status, name = obj["status"], obj["metadata"]["name"]
                if obj["spec"]["target"] != target.name or obj["spec"].get("cancel"):
                    continue
                mention = (name, obj["metadata"]["uid"], lifecycle.get(status, "attempt") + 1)
                if lifecycle.is_due(status, self.api.moment()) and mention not in named and name not in taken:
                    assert self._backs_off(obj["spec"]["appVersionId"], target.name, now), name

    def _usable(self, target: TargetView, updates: dict[str, UpdateTarget]) -> list[str]:
        """The devices that nothing keeps from a batch once the updates are written."""
        leases = {
            each.name: updates[each.name].leases if each.name in updates else each.leases
            for each in self.operator.store.targets
        }
        used = {lease.address for each in leases.values() for lease in each if lease.batch}
        used |= {batch.address for batch in self.operator.store.all_live_batches()}
        quarantined = {lease.name for lease in leases[target.name] if lease.tried_from > self.api.now}
        return [
            device.name
            for device in target.devices
            if not device.drained and device.address not in used and device.name not in quarantined
        ]

    def _known_gone(self, batch: str) -> bool:
        return any(key.name == batch for key in self.operator.planner._gone)

    def _backs_off(self, app: str, target: str, now: float) -> bool:
        """Whether the group's last batch failed as a whole, with a charge, less than the longest backoff ago."""
        ended = [
            batch
            for batch in self.operator.store.batches
            if batch.over and (batch.app_version_id, batch.target) == (app, target)
        ]
        last = max(ended, key=lambda batch: (batch.finished or batch.created, batch.name), default=None)
        return (
            last is not None
            and last.phase == "Failed"
            and last.install_seconds is None
            and last.infrastructure > 0
            and now < (last.finished or 0.0) + 3601
        )

    def _start_pods(self) -> None:
        for batch in self.cluster.pods_missing():
            self.cluster.start_pod(batch)

    def _one_step(self, process: Process, outcome: str) -> None:
        if self.api.objects["testbatches"][process.batch]["status"]["phase"] == "Installing":
            if outcome in {"infrastructure", "device"}:
                reason = "InstallFailed" if outcome == "infrastructure" else "DeviceOffline"
                self.cluster.fail_install(process, reason)
            else:
                self.cluster.install(process)
        elif process.running and outcome == "device":
            self.cluster.lose_device(process)
        elif process.running:
            self.cluster.end_test(process, outcome)
        else:
            self.cluster.begin_test(process)

    def _unowned(self) -> list[Process]:
        batches = self.api.objects["testbatches"]
        return [
            each
            for each in self.cluster.alive()
            if each.dies_at is None
            and batches.get(each.batch, {"status": {}})["status"].get("pod") != each.uid
        ]

    def _with_a_pod(self) -> list[Process]:
        return [each for each in self.cluster.alive() if each.dies_at is None]

    def teardown(self) -> None:
        """From any state: once nothing breaks any more, every TestJob comes to its end."""
        if not hasattr(self, "operator"):
            return
        spec = {"provider": {"devices": PHONES}, "parallelism": None}
        self.api.change("testtargets", "phones", spec=spec, version=None)
        if "absent" not in self.api.objects["testtargets"]:
            self.api.create("testtargets", "absent", {})
        for _ in range(400):
            if all(
                lifecycle.get(obj["status"], "phase") in lifecycle.FINISHED and not self._to_be_replayed(obj)
                for obj in self.api.objects["testjobs"].values()
            ):
                break
            self._a_good_minute()
        else:
            left = {
                name: (obj["spec"], obj["status"])
                for name, obj in self.api.objects["testjobs"].items()
                if lifecycle.get(obj["status"], "phase") not in lifecycle.FINISHED
            }
            pytest.fail(f"never ended: {left}")

    def _to_be_replayed(self, obj: dict[str, Any]) -> bool:
        spec, status = obj["spec"], obj["status"]
        dead = lifecycle.get(status, "phase") == lifecycle.DEAD_LETTERED
        return dead and not spec.get("cancel") and spec["replays"] > lifecycle.get(status, "observedReplays")

    def _a_good_minute(self) -> None:
        self.operator.watch()
        planned = self._checked_plan()
        self._nothing_due_waits_while_a_slot_is_free(planned)
        self.operator.write(planned.actions)
        self._start_pods()
        for process in self._unowned():
            self.cluster.take(process)
        for process in self.cluster.owners():
            if self.api.objects["testbatches"][process.batch]["status"]["phase"] == "Installing":
                self.cluster.install(process)
            if process.running:
                self.cluster.end_test(process, "passed")
            while self.cluster.begin_test(process):
                self.no_test_runs_twice_at_once()
                self.no_device_is_used_by_two_runners()
                self.cluster.end_test(process, "passed")
        self.api.now += 60


PlannerMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPlanner = PlannerMachine.TestCase


def test_an_empty_store_plans_nothing() -> None:
    operator = Operator(Cluster(), lambda: "tb-000000000001")

    assert isinstance(operator.store, Store)
    assert operator.plan().actions == ()
