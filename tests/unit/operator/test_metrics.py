"""What a scrape of the devices says."""

from __future__ import annotations

from testqueue.metrics import Metrics


def test_devices_are_counted_by_state_and_a_state_that_nobody_is_in_reads_zero() -> None:
    metrics = Metrics()
    metrics.watch_devices(lambda: {("team", "phones", "Free"): 2, ("team", "phones", "Quarantined"): 1})

    lines = [line for line in metrics.text().decode().splitlines() if line.startswith("qgjob_devices{")]

    assert sorted(lines) == [
        'qgjob_devices{namespace="team",state="Busy",target="phones"} 0.0',
        'qgjob_devices{namespace="team",state="Drained",target="phones"} 0.0',
        'qgjob_devices{namespace="team",state="Free",target="phones"} 2.0',
        'qgjob_devices{namespace="team",state="Quarantined",target="phones"} 1.0',
    ]
