"""The early checks say the same as the resources' own models, which make the CustomResourceDefinition."""

from __future__ import annotations

from typing import Any

import pytest

from qgjob.api.schema import open_api_schema
from qgjob.api.testjob import TestJob
from qgjob.cli import checks

GOOD = {"orgId": "acme", "appVersionId": "1.2.3+4", "test": "tests/a.spec.ts", "target": "phones"}


@pytest.fixture(scope="module")
def spec_schema() -> dict[str, Any]:
    schema: dict[str, Any] = open_api_schema(TestJob)["properties"]["spec"]
    return schema


@pytest.mark.parametrize("field", sorted(checks.RANGES))
def test_numbers_have_the_ranges_of_the_schema(spec_schema: dict[str, Any], field: str) -> None:
    schema = spec_schema["properties"][field]

    assert checks.RANGES[field] == (schema["minimum"], schema["maximum"])


@pytest.mark.parametrize("field", sorted(checks.LENGTHS))
def test_texts_have_the_lengths_of_the_schema(spec_schema: dict[str, Any], field: str) -> None:
    assert checks.LENGTHS[field] == spec_schema["properties"][field]["maxLength"]


def test_patterns_are_those_of_the_schema(spec_schema: dict[str, Any]) -> None:
    fields = spec_schema["properties"]
    for field, pattern in (
        (fields["orgId"], checks.IDENTIFIER),
        (fields["appVersionId"], checks.IDENTIFIER),
        (fields["target"], checks.TARGET_NAME),
        (fields["env"]["items"]["properties"]["name"], checks.VARIABLE_NAME),
    ):
        assert [rule["rule"] for rule in field["x-kubernetes-validations"]] == [f"self.matches('{pattern}')"]


def test_environment_limits_are_those_of_the_schema(spec_schema: dict[str, Any]) -> None:
    env = spec_schema["properties"]["env"]
    variable = env["items"]["properties"]
    assert env["maxItems"] == checks.MAX_VARIABLES
    assert variable["name"]["maxLength"] == checks.MAX_VARIABLE_NAME
    assert variable["value"]["maxLength"] == checks.MAX_VARIABLE_VALUE


def test_isolations_are_those_of_the_schema(spec_schema: dict[str, Any]) -> None:
    assert list(checks.ISOLATIONS) == spec_schema["properties"]["isolation"]["enum"]


def test_the_rule_on_paths_is_told_in_its_own_words(spec_schema: dict[str, Any]) -> None:
    messages = [rule["message"] for rule in spec_schema["properties"]["test"]["x-kubernetes-validations"]]
    [problem] = checks.problems({**GOOD, "test": "../secret.ts"})

    assert problem.removeprefix("--test ../secret.ts: ") in messages


def test_every_checked_field_has_an_option() -> None:
    assert set(checks.OPTIONS) >= {*checks.RANGES, *checks.LENGTHS, "env", "isolation"}


def test_a_good_spec_has_no_problem() -> None:
    assert checks.problems({**GOOD, "priority": 10, "env": [{"name": "A", "value": "b"}]}) == []


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("orgId", "-acme", "--org-id"),
        ("orgId", "a" * 129, "--org-id"),
        ("appVersionId", "a b", "--app-version-id"),
        ("target", "Phones", "--target"),
        ("test", "/etc/passwd", "--test"),
        ("test", "a/../../b", "--test"),
        ("priority", 0, "--priority"),
        ("priority", 11, "priority must be between 1 and 10 (10 runs first)"),
        ("maxRetries", -1, "--max-retries"),
        ("timeoutSeconds", 0, "--timeout"),
        ("ttlSecondsAfterFinished", -1, "--ttl"),
        ("isolation", "none", "--isolation"),
        ("env", [{"name": "1A", "value": ""}], "--env"),
        ("env", [{"name": "A", "value": "x" * 4097}], "--env A"),
        ("env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], "--env A: given twice"),
        ("env", [{"name": f"A{number}", "value": ""} for number in range(65)], "at most 64"),
    ],
)
def test_a_mistake_is_told_with_its_option(field: str, value: Any, word: str) -> None:
    [problem] = checks.problems({**GOOD, field: value})

    assert word in problem


@pytest.mark.parametrize("job_id", ["Upper", "a_b", "-a", "a.", "a..b", "a" * 254, ""])
def test_bad_job_ids(job_id: str) -> None:
    assert checks.job_id_problem(job_id)


@pytest.mark.parametrize("job_id", ["a", "ci-42", "1.2.3", "a" * 253])
def test_good_job_ids(job_id: str) -> None:
    assert not checks.job_id_problem(job_id)


def test_a_variable_needs_an_equals_sign() -> None:
    assert checks.parse_variable("A=b=c") == {"name": "A", "value": "b=c"}
    with pytest.raises(ValueError, match="write it as NAME=value"):
        checks.parse_variable("A")
