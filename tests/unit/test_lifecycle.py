"""The life of a TestJob: what each step writes, what it refuses, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qgjob.api import lifecycle
from qgjob.api.constants import MAX_ATTEMPTS_KEPT, MAX_MESSAGE_BYTES
from qgjob.api.lifecycle import OutcomeName, Result, RetryPolicy, TransitionError
from qgjob.api.testjob import TestJobStatus

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
POLICY = RetryPolicy(backoff_seconds=60, factor=2, max_backoff_seconds=300, infrastructure_retries=2)
PASSED, FAILED, INFRASTRUCTURE = (
    Result("passed"),
    Result("failed", "expected 1, got 2"),
    Result("infrastructure"),
)


def scheduled(status: dict[str, Any] | None = None, batch: str = "tb-1") -> dict[str, Any]:
    status = status or {}
    return lifecycle.apply(status, lifecycle.claim(status, batch, 0))


def running(status: dict[str, Any] | None = None) -> dict[str, Any]:
    claimed = scheduled(status)
    return lifecycle.apply(claimed, lifecycle.start(claimed, "tb-1-abcde", NOW))


def finished(
    status: dict[str, Any], result: Result, policy: RetryPolicy = POLICY, max_retries: int = 3
) -> dict[str, Any]:
    return lifecycle.apply(status, lifecycle.finish(status, result, policy, max_retries, NOW))


def dead() -> dict[str, Any]:
    return finished(running(), FAILED, max_retries=0)


# What was never written


def test_a_status_never_written_reads_as_pending_and_free() -> None:
    assert [lifecycle.get({}, field) for field in ("phase", "batch", "pod", "attempt")] == [
        "Pending",
        "",
        "",
        0,
    ]


def test_the_defaults_are_the_models_own() -> None:
    model = TestJobStatus()

    assert (model.phase, model.batch, model.attempt) == (
        lifecycle.get({}, "phase"),
        lifecycle.get({}, "batch"),
        lifecycle.get({}, "attempt"),
    )


# Claim, start, give back


def test_a_claim_counts_the_attempt_and_names_the_batch() -> None:
    status = scheduled({"phase": "Pending", "attempt": 4})

    assert (status["phase"], status["batch"], status["attempt"]) == ("Scheduled", "tb-1", 5)


def test_a_claim_clears_why_it_waited() -> None:
    status = scheduled({"reason": "TargetNotFound", "message": "there is no TestTarget"})

    assert (status["reason"], status["message"]) == ("", "")


def test_a_claim_of_a_retry_drops_its_time() -> None:
    retrying = finished(running(), FAILED)

    assert "nextAttemptTime" not in scheduled(retrying, "tb-2")


@pytest.mark.parametrize("phase", ["Scheduled", "Running", "Succeeded", "DeadLettered", "Cancelled"])
def test_only_a_waiting_testjob_can_be_claimed(phase: str) -> None:
    with pytest.raises(TransitionError, match=f"can't go from {phase} to Scheduled"):
        lifecycle.claim({"phase": phase}, "tb-2", 0)


def test_a_start_names_the_pod_and_the_time() -> None:
    status = running()

    assert (status["phase"], status["pod"], status["startTime"]) == (
        "Running",
        "tb-1-abcde",
        "2026-11-24T08:00:00Z",
    )


def test_a_start_clears_why_it_did_not_start_before() -> None:
    stuck = {**scheduled(), "reason": "ImagePullBackOff", "message": "Back-off pulling image"}

    status = lifecycle.apply(stuck, lifecycle.start(stuck, "tb-1-abcde", NOW))

    assert (status["reason"], status["message"]) == ("", "")


def test_giving_back_costs_nothing_but_the_claims_number() -> None:
    claimed = scheduled({"failures": 1, "infrastructureFailures": 1})

    status = lifecycle.apply(claimed, lifecycle.give_back(claimed))

    assert (status["phase"], status["batch"], status["attempt"]) == ("Pending", "", 1)
    assert (status["failures"], status["infrastructureFailures"]) == (1, 1)


def test_a_running_testjob_cannot_be_given_back() -> None:
    with pytest.raises(TransitionError):
        lifecycle.give_back(running())


def test_a_dead_letter_cannot_be_given_back() -> None:
    with pytest.raises(TransitionError, match="only a Scheduled TestJob"):
        lifecycle.give_back(dead())


# Outcomes


def test_a_pass_ends_it() -> None:
    status = finished(running(), PASSED)

    assert (status["phase"], status["reason"], status["finishTime"]) == (
        "Succeeded",
        "Passed",
        "2026-11-24T08:00:00Z",
    )


def test_a_test_failure_waits_for_its_retry() -> None:
    status = finished(running(), FAILED)

    assert (status["phase"], status["failures"], status["nextAttemptTime"]) == (
        "Retrying",
        1,
        "2026-11-24T08:01:00Z",
    )


def test_a_failure_past_max_retries_goes_to_the_dead_letters() -> None:
    status = finished(running({"failures": 3}), FAILED, max_retries=3)

    assert (status["phase"], status["reason"], status["failures"]) == ("DeadLettered", "TestFailed", 4)


def test_an_infrastructure_failure_does_not_use_up_max_retries() -> None:
    status = finished(running({"failures": 3}), INFRASTRUCTURE, max_retries=3)

    assert (status["phase"], status["failures"], status["infrastructureFailures"]) == ("Retrying", 3, 1)


def test_infrastructure_failures_have_a_budget_of_their_own() -> None:
    status = finished(running({"infrastructureFailures": 2}), INFRASTRUCTURE)

    assert (status["phase"], status["reason"]) == ("DeadLettered", "Infrastructure")


def test_a_batch_that_never_started_charges_a_scheduled_testjob() -> None:
    result = Result("infrastructure", "no node fits", reason="Unschedulable")

    status = finished(scheduled(), result)

    assert (status["phase"], status["reason"], status["message"]) == (
        "Retrying",
        "Unschedulable",
        "no node fits",
    )


def test_a_scheduled_testjob_cannot_pass() -> None:
    with pytest.raises(TransitionError):
        lifecycle.finish(scheduled(), PASSED, POLICY, 3, NOW)


def test_what_no_retry_can_help_is_dead_lettered_at_once() -> None:
    result = Result("failed", "404 Not Found", final_reason="AppVersionNotFound")

    status = finished(scheduled(), result, max_retries=3)

    assert (status["phase"], status["reason"]) == ("DeadLettered", "AppVersionNotFound")
    assert [attempt["message"] for attempt in status["attempts"]] == ["404 Not Found"]


@pytest.mark.parametrize("outcome", ["failed", "infrastructure"])
def test_what_could_not_be_run_is_no_failure_of_the_test_nor_of_the_infrastructure(
    outcome: OutcomeName,
) -> None:
    status = finished(running(), Result(outcome, "404", final_reason="AppVersionNotFound"))

    counted = [lifecycle.get(status, field) for field in ("failures", "infrastructureFailures")]
    assert counted == [0, 0]


def test_conditions_tell_a_pass_from_a_dead_letter() -> None:
    def conditions(status: dict[str, Any]) -> dict[str, str]:
        return {each["type"]: each["status"] for each in status["conditions"]}

    assert conditions(finished(running(), PASSED)) == {
        "Finished": "True",
        "Succeeded": "True",
        "DeadLettered": "False",
    }
    assert conditions(dead()) == {"Finished": "True", "Succeeded": "False", "DeadLettered": "True"}


# Attempts


def test_an_attempt_records_where_and_how_it_went() -> None:
    result = Result("failed", "boom", device="pixel-1", cases=3, failed_cases=1)

    (attempt,) = finished(running(), result)["attempts"]

    assert attempt == {
        "number": 1,
        "batch": "tb-1",
        "pod": "tb-1-abcde",
        "device": "pixel-1",
        "startTime": "2026-11-24T08:00:00Z",
        "finishTime": "2026-11-24T08:00:00Z",
        "outcome": "failed",
        "message": "boom",
        "cases": 3,
        "failedCases": 1,
        "skippedCases": 0,
    }


def test_an_attempt_that_never_started_has_no_start_even_after_one_that_did() -> None:
    retrying = finished(running(), FAILED)

    again = finished(scheduled(retrying, "tb-2"), INFRASTRUCTURE)

    assert "startTime" in again["attempts"][0]
    assert "startTime" not in again["attempts"][1]


def test_only_the_last_attempts_are_kept() -> None:
    status: dict[str, Any] = {}
    for _ in range(MAX_ATTEMPTS_KEPT + 2):
        status = finished(running(status), FAILED, max_retries=100)

    assert [each["number"] for each in status["attempts"]] == list(range(3, MAX_ATTEMPTS_KEPT + 3))


# Cancel


@pytest.mark.parametrize("phase", ["Pending", "Retrying", "Scheduled", "Running"])
def test_whatever_is_not_over_can_be_cancelled(phase: str) -> None:
    changes = lifecycle.cancel({"phase": phase}, NOW)

    assert (changes["phase"], changes["reason"]) == ("Cancelled", "Cancelled")


@pytest.mark.parametrize("phase", ["Succeeded", "DeadLettered", "Cancelled"])
def test_what_is_over_cannot_be_cancelled(phase: str) -> None:
    with pytest.raises(TransitionError):
        lifecycle.cancel({"phase": phase}, NOW)


# Replay


def test_a_replay_starts_with_fresh_budgets_at_the_lines_end() -> None:
    status = lifecycle.apply(dead(), lifecycle.replay(dead(), 1, NOW + timedelta(hours=1)))

    assert (status["phase"], status["failures"], status["infrastructureFailures"]) == ("Pending", 0, 0)
    assert (status["queueTime"], status["observedReplays"]) == ("2026-11-24T09:00:00Z", 1)


def test_a_replay_keeps_the_attempts_and_counts_on() -> None:
    status = lifecycle.apply(dead(), lifecycle.replay(dead(), 1, NOW))

    assert (len(status["attempts"]), scheduled(status, "tb-2")["attempt"]) == (1, 2)


def test_a_replay_is_not_finished_any_more() -> None:
    status = lifecycle.apply(dead(), lifecycle.replay(dead(), 1, NOW))

    assert status["conditions"] == []
    assert "finishTime" not in status


@pytest.mark.parametrize("phase", ["Pending", "Scheduled", "Running", "Retrying", "Succeeded", "Cancelled"])
def test_only_a_dead_letter_can_be_replayed(phase: str) -> None:
    with pytest.raises(TransitionError, match="only a DeadLettered"):
        lifecycle.replay({"phase": phase}, 1, NOW)


def test_a_replay_asked_for_while_it_waits_is_met_by_the_next_run() -> None:
    claimed = lifecycle.apply({}, lifecycle.claim({}, "tb-1", replays=2))

    assert claimed["observedReplays"] == 2


# When


def test_a_pending_testjob_is_due() -> None:
    assert lifecycle.is_due({}, NOW)


@pytest.mark.parametrize(("ahead", "due"), [(-1, True), (0, True), (1, False)])
def test_a_retry_is_due_once_its_time_has_come(ahead: int, due: bool) -> None:
    status = {"phase": "Retrying", "nextAttemptTime": lifecycle.timestamp(NOW + timedelta(seconds=ahead))}

    assert lifecycle.is_due(status, NOW) is due


@pytest.mark.parametrize("phase", ["Scheduled", "Running", "Succeeded", "DeadLettered", "Cancelled"])
def test_nothing_else_is_due(phase: str) -> None:
    assert not lifecycle.is_due({"phase": phase}, NOW)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 300), (1000, 300)])
def test_the_wait_doubles_up_to_its_bound(failures: int, seconds: float) -> None:
    assert POLICY.delay(failures) == seconds


def test_a_policy_reads_the_targets_spec() -> None:
    spec = {"retry": {"backoffSeconds": 1, "factor": 3, "maxBackoffSeconds": 5, "infrastructureRetries": 0}}

    assert RetryPolicy.from_target_spec(spec) == RetryPolicy(1, 3, 5, 0)


def test_a_target_without_retry_settings_has_the_defaults() -> None:
    assert RetryPolicy.from_target_spec({}) == RetryPolicy()


def test_a_timestamp_rounds_up_so_that_not_before_is_never_early() -> None:
    assert lifecycle.timestamp(NOW + timedelta(microseconds=1)) == "2026-11-24T08:00:01Z"


def test_a_timestamp_is_utc() -> None:
    moment = datetime(2026, 11, 24, 9, 0, tzinfo=timezone(timedelta(hours=1)))

    assert lifecycle.timestamp(moment) == "2026-11-24T08:00:00Z"


def test_a_micro_time_is_read_too() -> None:
    assert lifecycle.parse_time("2026-11-24T08:00:00.250000Z") == NOW + timedelta(seconds=0.25)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T09:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-11-24T09:00:00+99:99",
        "0001-01-01T00:00:00+14:00",
        "",
    ],
)
def test_what_the_api_server_takes_for_a_time_and_is_none_is_none(text: str) -> None:
    assert lifecycle.parse_time(text) is None


def test_a_time_in_small_letters_is_one() -> None:
    assert lifecycle.parse_time("2026-11-24t08:00:00z") == NOW


def test_the_seconds_between_two_times_are_none_where_one_is_missing() -> None:
    assert lifecycle.seconds_between("2026-11-24T08:00:00Z", "2026-11-24T08:01:00Z") == 60
    assert lifecycle.seconds_between("2026-11-24T08:01:00Z", "2026-11-24T08:00:00Z") == 0
    assert lifecycle.seconds_between("2026-11-24T08:00:00Z", None) is None


# Patches


def test_a_json_patch_tests_the_claim_before_it_changes_anything() -> None:
    status = scheduled()

    patch = lifecycle.json_patch(status, lifecycle.start(status, "tb-1-abcde", NOW))

    assert patch[:4] == [
        {"op": "test", "path": "/status/batch", "value": "tb-1"},
        {"op": "test", "path": "/status/phase", "value": "Scheduled"},
        {"op": "test", "path": "/status/attempt", "value": 1},
        {"op": "test", "path": "/status/pod", "value": ""},
    ]
    assert {step["op"] for step in patch[4:]} == {"add"}


def test_a_json_patch_removes_only_what_is_there() -> None:
    without = lifecycle.json_patch({}, {"nextAttemptTime": None})
    with_time = lifecycle.json_patch({"nextAttemptTime": "2026-11-24T08:00:00Z"}, {"nextAttemptTime": None})

    assert len(without) == 4
    assert with_time[4:] == [{"op": "remove", "path": "/status/nextAttemptTime"}]


def test_a_merge_patch_holds_for_one_version() -> None:
    assert lifecycle.merge_patch("42", {"phase": "Pending"}) == {
        "metadata": {"resourceVersion": "42"},
        "status": {"phase": "Pending"},
    }


def test_a_message_that_is_no_text_can_still_be_sent() -> None:
    message = b"caf\xe9".decode(errors="surrogateescape")

    assert lifecycle.clip(message) == "caf?"


# What always holds


@given(st.text(), st.integers(min_value=3, max_value=64))
def test_a_clipped_message_fits_and_is_a_beginning(text: str, limit: int) -> None:
    clipped = lifecycle.clip(text, limit)

    assert len(clipped.encode()) <= limit
    assert text.startswith(clipped.removesuffix("…")) or clipped == text


@given(
    st.integers(min_value=1, max_value=10_000),
    st.integers(min_value=0, max_value=86_400),
    st.floats(min_value=1, max_value=10),
    st.integers(min_value=0, max_value=604_800),
)
def test_the_wait_only_grows_and_stays_in_its_bound(
    failures: int, backoff: int, factor: float, longest: int
) -> None:
    policy = RetryPolicy(backoff, factor, longest)

    assert 0 <= policy.delay(failures) <= policy.delay(failures + 1) <= longest


STEPS = ("claim", "start", "give back", "pass", "fail", "infrastructure", "final", "cancel", "replay")


def step(status: dict[str, Any], name: str, now: datetime) -> dict[str, Any]:
    """The status after one step; the same one where the step is refused."""
    results = {
        "pass": PASSED,
        "fail": FAILED,
        "infrastructure": Result("infrastructure", "x" * 3000, reason="DeviceLost"),
        "final": Result("failed", final_reason="TestNotFound"),
    }
    try:
        if name == "claim":
            changes = lifecycle.claim(status, "tb-1", 0) if lifecycle.is_due(status, now) else {}
        elif name == "start":
            changes = lifecycle.start(status, "tb-1-abcde", now)
        elif name == "give back":
            changes = lifecycle.give_back(status)
        elif name == "cancel":
            changes = lifecycle.cancel(status, now)
        elif name == "replay":
            changes = lifecycle.replay(status, lifecycle.get(status, "observedReplays") + 1, now)
        else:
            changes = lifecycle.finish(status, results[name], POLICY, 1, now)
    except TransitionError:
        return status
    return lifecycle.apply(status, changes)


@given(st.lists(st.sampled_from(STEPS), max_size=60))
def test_any_life_keeps_to_the_rules(names: list[str]) -> None:
    status: dict[str, Any] = {}
    for number, name in enumerate(names):
        before, now = status, NOW + timedelta(minutes=10 * number)
        status = step(before, name, now)
        if status is before:
            continue
        old, new = lifecycle.get(before, "phase"), lifecycle.get(status, "phase")
        attempts = lifecycle.get(status, "attempts")

        assert old == new or (old, new) in lifecycle.TRANSITIONS
        assert lifecycle.get(status, "attempt") >= lifecycle.get(before, "attempt")
        assert (new in lifecycle.CLAIMED) <= bool(lifecycle.get(status, "batch"))
        assert (new in lifecycle.FINISHED) == ("finishTime" in status)
        assert (new == "Retrying") == ("nextAttemptTime" in status)
        assert len(attempts) <= MAX_ATTEMPTS_KEPT
        assert [each["number"] for each in attempts] == sorted({each["number"] for each in attempts})
        assert len(lifecycle.get(status, "message").encode()) <= MAX_MESSAGE_BYTES
        if new == "Retrying":
            assert lifecycle.get(status, "failures") <= 1
            assert lifecycle.get(status, "infrastructureFailures") <= POLICY.infrastructure_retries
        TestJobStatus.model_validate(status)


@given(st.lists(st.sampled_from([name for name in STEPS if name != "replay"]), max_size=60))
def test_what_is_over_stays_over_unless_replayed(names: list[str]) -> None:
    status: dict[str, Any] = {}
    for number, name in enumerate(names):
        before = status
        status = step(before, name, NOW + timedelta(minutes=10 * number))
        if lifecycle.get(before, "phase") in lifecycle.FINISHED:
            assert status == before


# Refusals


def test_one_too_many_ends_cancelled_and_says_why() -> None:
    status = lifecycle.apply({}, lifecycle.refuse({}, "QuotaExceeded", "too many wait", NOW))

    assert (status["phase"], status["reason"], status["message"]) == (
        "Cancelled",
        "QuotaExceeded",
        "too many wait",
    )


@pytest.mark.parametrize(
    "status", [{"phase": "Retrying", "attempt": 1}, {"attempt": 1}, {"phase": "Running"}]
)
def test_what_was_claimed_before_is_not_refused(status: dict[str, Any]) -> None:
    with pytest.raises(TransitionError, match="never claimed"):
        lifecycle.refuse(status, "QuotaExceeded", "too many wait", NOW)
