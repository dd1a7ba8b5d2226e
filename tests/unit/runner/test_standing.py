from __future__ import annotations

from typing import Any

import pytest

from qgjob.api.testbatch import BatchJob
from testrunner.standing import Ownership, Standing, ownership, standing

ENTRY = BatchJob(name="job", uid="u1", attempt=3)


def job(uid: str = "u1", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "job", "uid": uid}, "status": status}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, Standing.LOST),
        (job("u2", phase="Scheduled", batch="b", attempt=3), Standing.LOST),  # recreated by the same name
        (job(phase="Pending", attempt=2), Standing.UNCLAIMED),
        (job(phase="Retrying", attempt=2, batch="before"), Standing.UNCLAIMED),
        (job(phase="Scheduled", batch="b", attempt=3), Standing.READY),
        (job(phase="Scheduled", batch="other", attempt=3), Standing.LOST),
        (job(phase="Scheduled", batch="b", attempt=4), Standing.LOST),  # a later claim of the same batch
        (job(phase="Running", batch="b", attempt=3, pod="p"), Standing.RUNNING),
        (job(phase="Running", batch="b", attempt=3, pod="twin"), Standing.LOST),
        (job(phase="Succeeded", batch="b", attempt=3, pod="p"), Standing.OVER),
        (job(phase="Retrying", batch="b", attempt=3, pod="p"), Standing.OVER),
        (job(phase="Pending", batch="", attempt=3), Standing.LOST),  # given back
        (job(phase="DeadLettered", batch="before", attempt=2), Standing.LOST),
    ],
)
def test_where_a_test_job_stands(seen: dict[str, Any] | None, expected: Standing) -> None:
    assert standing(seen, ENTRY, batch="b", pod="p") is expected


def test_a_status_that_was_never_written_reads_as_pending() -> None:
    first = BatchJob(name="job", uid="u1", attempt=1)

    assert standing(job(), first, batch="b", pod="p") is Standing.UNCLAIMED


@pytest.mark.parametrize(
    ("uid", "status", "expected"),
    [
        ("u", {}, Ownership.FREE),
        ("u", {"pod": "", "phase": "Pending"}, Ownership.FREE),
        ("u", {"pod": "me", "phase": "Running"}, Ownership.MINE),
        ("u", {"pod": "twin", "phase": "Running"}, Ownership.TAKEN),
        ("u", {"pod": "me", "phase": "Failed"}, Ownership.OVER),
        ("u", {"pod": "", "phase": "Failed"}, Ownership.OVER),
        ("another", {"pod": "me", "phase": "Running"}, Ownership.REPLACED),
    ],
)
def test_whose_a_batch_is(uid: str, status: dict[str, Any], expected: Ownership) -> None:
    batch = {"metadata": {"uid": uid}, "status": status}

    assert ownership(batch, uid="u", pod_uid="me") is expected
