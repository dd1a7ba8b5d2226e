"""Filters as field selectors."""

from __future__ import annotations

import pytest

from qgjob.cli import selectors
from qgjob.cli.views import STATUS_WORDS


def test_one_phase_is_selected_by_its_name() -> None:
    assert selectors.by_status(["completed"]) == ["status.phase=Succeeded"]


@pytest.mark.parametrize("words", [["queued"], ["failed", "cancelled"], ["queued", "running", "completed"]])
def test_several_phases_are_selected_by_refusing_the_others(words: list[str]) -> None:
    terms = selectors.by_status(words)

    refused = {term.removeprefix("status.phase!=") for term in terms}
    assert {phase for phase, word in STATUS_WORDS.items() if word in words} == STATUS_WORDS.keys() - refused


def test_no_status_leaves_all_open() -> None:
    assert selectors.by_status([]) == []


def test_only_given_fields_are_selected() -> None:
    assert selectors.by_spec(orgId="acme", appVersionId=None, target="phones") == [
        "spec.orgId=acme",
        "spec.target=phones",
    ]


def test_a_value_cannot_change_the_selector() -> None:
    assert selectors.by_spec(orgId="a,status.phase=b") == [r"spec.orgId=a\,status.phase\=b"]


def test_the_common_selector_has_what_all_agree_in() -> None:
    specs = [
        {"orgId": "acme", "appVersionId": "1", "target": "phones"},
        {"orgId": "acme", "appVersionId": "2", "target": "phones"},
    ]

    assert selectors.common(specs) == "spec.orgId=acme,spec.target=phones"
