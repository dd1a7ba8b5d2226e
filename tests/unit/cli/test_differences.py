"""Whether a resubmission is the same one."""

from __future__ import annotations

from qgjob.cli.differences import differing

SPEC = {"test": "a.ts", "priority": 5, "env": [{"name": "A", "value": "1"}], "maxRetries": 3}


def test_the_same_content_does_not_differ() -> None:
    assert differing(SPEC, dict(SPEC)) == []


def test_another_value_is_told_with_both_sides() -> None:
    assert differing(SPEC, {**SPEC, "priority": 9, "env": []}) == [
        "env: A=1 there, none here",
        "priority: 5 there, 9 here",
    ]


def test_an_absent_field_differs_from_zero() -> None:
    assert differing(SPEC, {**SPEC, "ttlSecondsAfterFinished": 0}) == [
        "ttlSecondsAfterFinished: none there, 0 here"
    ]


def test_an_absent_list_is_an_empty_list() -> None:
    assert differing({"test": "a.ts"}, {"test": "a.ts", "env": []}) == []


def test_a_source_is_told_by_its_parts() -> None:
    here = {"source": {"git": {"repository": "https://x/y.git", "revision": "main"}}}

    assert differing({}, here) == ["source: none there, git=repository=https://x/y.git revision=main here"]


def test_what_happened_to_the_job_since_is_no_content() -> None:
    assert differing({**SPEC, "cancel": True, "replays": 2}, SPEC) == []
