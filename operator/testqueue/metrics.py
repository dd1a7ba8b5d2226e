"""What the operator counts, in Prometheus' terms. Times in seconds.

Counters of what happened to batches are kept by the leader only, so that a sum over the replicas is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from testqueue.core.model import DEVICE_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: From a test that just starts to a nightly queue of a day.
_LONG: Final = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """All of one process' metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Only this process: kopf and others register nothing of use here.
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        target = ("namespace", "target")
        self.waiting_seconds = self._histogram(
            "qgjob_waiting_seconds", "From a TestJob's turn in the line to its claim.", target, _LONG
        )
        self.running_seconds = self._histogram(
            "qgjob_running_seconds", "Wall-clock time of one run of a TestJob.", target, _LONG
        )
        self.install_seconds = self._histogram(
            "qgjob_install_seconds", "The one install of a batch.", target, _LONG
        )
        self.batches = self._counter(
            "qgjob_batches", "Batches that are over, by outcome.", (*target, "outcome")
        )
        self.attempts = self._counter(
            "qgjob_attempts", "Runs of TestJobs that are over, by outcome.", (*target, "outcome")
        )
        self.install_seconds_saved = self._counter(
            "qgjob_install_seconds_saved",
            "Installs that batching made needless: tests run beyond a batch's first, times its install.",
            target,
        )
        self.api_writes = self._counter(
            "qgjob_api_writes", "Requests that write, as sent.", ("verb", "resource", "code")
        )
        self.planner_seconds = self._histogram(
            "qgjob_planner_seconds", "One pass of the planner.", (), _SHORT
        )
        self.actions = self._counter("qgjob_actions", "Actions planned, by kind.", ("action",))
        self.action_failures = self._counter(
            "qgjob_action_failures", "Actions that ended in an error and are planned again.", ("action",)
        )
        self.relists = self._counter(
            "qgjob_reflector_lists", "Full lists by a reflector; one at its start.", ("resource",)
        )
        self.leader = Gauge("qgjob_leader", "1 where this replica leads, else 0.", registry=self.registry)

    def watch_queue(self, lengths: Callable[[], Mapping[tuple[str, str, int], int]]) -> None:
        """Show what this returns whenever the metrics are read."""
        self.registry.register(_QueueCollector(lengths))

    def watch_devices(self, states: Callable[[], Mapping[tuple[str, str, str], int]]) -> None:
        """The same for the devices."""
        self.registry.register(_DeviceCollector(states))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


class _QueueCollector(Collector):
    def __init__(self, lengths: Callable[[], Mapping[tuple[str, str, int], int]]) -> None:
        self._lengths = lengths

    def collect(self) -> Iterable[Metric]:
        """Count when asked: a count kept up to date by events could drift."""
        family = GaugeMetricFamily(
            "qgjob_queue_length", "TestJobs that wait.", labels=("namespace", "target", "priority")
        )
        for (namespace, target, priority), length in sorted(self._lengths().items()):
            family.add_metric((namespace, target, str(priority)), length)
        yield family


class _DeviceCollector(Collector):
    def __init__(self, states: Callable[[], Mapping[tuple[str, str, str], int]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        """All states of a target that has devices, so that one which nobody is in reads 0."""
        family = GaugeMetricFamily(
            "qgjob_devices", "Devices of the pools, by state.", labels=("namespace", "target", "state")
        )
        counts = self._states()
        for namespace, target in sorted({(namespace, target) for namespace, target, _ in counts}):
            for state in DEVICE_STATES:
                family.add_metric((namespace, target, state), counts.get((namespace, target, state), 0))
        yield family
