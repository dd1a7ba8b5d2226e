"""How a TestJob reads in each state of its life."""

from __future__ import annotations

from datetime import timedelta

import pytest

from qgjob.api import lifecycle
from qgjob.cli import views
from tests.unit.cli import jobs


@pytest.mark.parametrize(
    ("job", "status", "details"),
    [
        (jobs.pending(), "queued", "Waiting in queue:p5 for target phones"),
        (jobs.scheduled(jobs.pending()), "queued", "In batch tb-1, not started yet"),
        (jobs.running(jobs.pending()), "running", "Running for 20 s in batch tb-1, pod tb-1-pod"),
        (jobs.passed(jobs.pending()), "completed", "Passed"),
        (
            jobs.ended(jobs.pending(), "failed", "no button"),
            "queued_for_retry",
            "Failed once: no button; retry in 1 min",
        ),
        (
            jobs.ended(jobs.pending(), "infrastructure", "device lost"),
            "queued_for_retry",
            "Infrastructure failed once: device lost; retry in 1 min",
        ),
        (jobs.passed(jobs.ended(jobs.pending(), "failed")), "completed", "Passed after failing once"),
        (jobs.dead(jobs.pending(), "no button"), "failed", "Failed 4 times: no button"),
        (
            jobs.broken(jobs.pending(), "device lost"),
            "failed",
            "Infrastructure failed twice: device lost",
        ),
        (
            jobs.ended(jobs.pending(), "failed", "HTTP 404", final_reason="AppVersionNotFound"),
            "failed",
            "AppVersionNotFound: HTTP 404",
        ),
        (jobs.cancelled(jobs.pending()), "cancelled", "Cancelled"),
    ],
)
def test_status_words_and_details(job: jobs.Object, status: str, details: str) -> None:
    assert views.status_word(job) == status
    assert views.details(job, jobs.NOW) == details


def test_a_job_that_was_never_written_to_is_queued() -> None:
    job = jobs.pending()
    del job["status"]

    assert views.status_word(job) == "queued"


def test_every_phase_has_a_status_word() -> None:
    phases = {phase for transition in lifecycle.TRANSITIONS for phase in transition}

    assert phases == set(views.STATUS_WORDS)


def test_an_exceptional_reason_to_wait_is_told() -> None:
    job = jobs.with_status(
        jobs.pending(),
        {"reason": "TargetNotFound", "message": "no TestTarget 'phones' in namespace 'default'"},
    )

    assert views.details(job, jobs.NOW) == "no TestTarget 'phones' in namespace 'default'"


def test_a_replayed_job_says_so() -> None:
    dead = jobs.dead(jobs.pending())
    replayed = jobs.with_status(dead, lifecycle.replay(dead["status"], 1, jobs.NOW))

    assert views.details(replayed, jobs.NOW) == "Replayed, waiting in queue:p5 for target phones"


def test_attempts_before_the_last_replay_are_told_apart() -> None:
    dead = jobs.dead(jobs.pending())
    mended = jobs.with_status(dead, lifecycle.replay(dead["status"], 1, jobs.NOW + timedelta(hours=1)))

    assert len(views.attempts_since_replay(dead)) == len(dead["status"]["attempts"]) > 0
    assert views.attempts_since_replay(mended) == []


def test_a_dead_letter_whose_replay_was_not_seen_yet_is_queued() -> None:
    job = jobs.replayed(jobs.dead(jobs.pending()))

    assert views.status_word(job) == "queued"
    assert views.details(job, jobs.NOW) == "Replay requested: to queue:p5 for target phones"
    assert not views.is_over(job)


def test_a_dead_letter_that_was_replayed_and_died_again_is_over() -> None:
    dead = jobs.replayed(jobs.dead(jobs.pending()))
    again = jobs.with_status(dead, lifecycle.replay(dead["status"], 1, jobs.NOW))

    assert views.is_over(jobs.dead(again))


def test_a_cancel_takes_a_replay_back() -> None:
    job = jobs.replayed(jobs.dead(jobs.pending(cancel=True), "no button"))

    assert views.is_over(job)
    assert views.status_word(job) == "failed"
    assert views.details(job, jobs.NOW) == "Failed 4 times: no button"


def test_a_retry_whose_time_has_come_waits_for_a_slot() -> None:
    job = jobs.ended(jobs.pending(), "failed", "no button")

    assert views.details(job, jobs.NOW + timedelta(hours=1)) == (
        "Failed once: no button; retry as soon as a slot is free"
    )


def test_the_full_view_has_every_attempt() -> None:
    job = jobs.passed(jobs.ended(jobs.pending(), "failed", "no button", cases=3, failed_cases=1))

    view = views.full(job, jobs.NOW)

    assert [entry["outcome"] for entry in view["attempts"]] == ["failed", "passed"]
    assert view["attempts"][0]["failed_cases"] == 1
    assert view["attempts"][0]["message"] == "no button"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert views.duration(seconds) == text
