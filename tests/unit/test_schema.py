"""From pydantic models to structural schemas: one small example for each thing that Kubernetes wants otherwise."""
# ruff: noqa: RUF012 - pydantic copies the defaults of its fields

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from qgjob.api.base import ApiModel, Column, Rule, fixed, matching, rules, schema
from qgjob.api.schema import RESOURCES, crd, open_api_schema

PATTERN_KEYWORDS = {"pattern", "title", "$ref", "anyOf", "const", "additionalProperties", "$defs"}


class Part(ApiModel):
    """A part."""

    size: int = 1
    note: str | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (Rule("self.size < 9", "a part is small"),)


class ExampleSpec(ApiModel):
    """What is wanted."""

    name: Annotated[str, matching(r"^\w'[a-z]$", "must be a name", max_length=9)]
    kind: Literal["only"] = "only"
    limit: Annotated[int | None, Field(ge=1, description="An optional number.")] = None
    part: Annotated[Part | None, Field(description="An optional part.")] = None
    standard: Part = Part()
    parts: list[Part] = []
    when: datetime | None = None
    anything: Annotated[
        dict[str, Any] | None, Field(json_schema_extra=schema(x_kubernetes_preserve_unknown_fields=True))
    ] = None
    once: Annotated[bool, Field(json_schema_extra=rules(Rule("self || !oldSelf", "stays")))] = False
    snake_case: str = ""

    RULES: ClassVar[tuple[Rule, ...]] = fixed("Example", "name", optional=("limit",))


class ExampleStatus(ApiModel):
    """What is."""

    phase: str = "New"


class Example(ApiModel):
    """An example."""

    metadata: dict[str, Any] = {}
    spec: ExampleSpec
    status: ExampleStatus = ExampleStatus()

    PLURAL: ClassVar[str] = "examples"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("ex",)
    SELECTABLE: ClassVar[tuple[str, ...]] = (".spec.name",)
    RULES: ClassVar[tuple[Rule, ...]] = (Rule("self.metadata.name != 'x'", "not x"),)
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Name", "string", ".spec.name"),
        Column("Limit", "integer", ".spec.limit", "how many", priority=1),
    )


@pytest.fixture
def root() -> dict[str, Any]:
    return open_api_schema(Example)


@pytest.fixture
def fields(root: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = root["properties"]["spec"]["properties"]
    return found


def test_the_root_has_what_every_object_has(root: dict[str, Any]) -> None:
    assert list(root["properties"]) == ["apiVersion", "kind", "spec", "status", "metadata"]
    assert root["properties"]["metadata"] == {"type": "object"}
    assert root["required"] == ["spec"]


def test_a_status_is_defaulted_from_outside_in(root: dict[str, Any]) -> None:
    assert root["properties"]["status"]["default"] == {}
    assert root["properties"]["status"]["properties"]["phase"]["default"] == "New"


def test_names_are_camel_case(fields: dict[str, Any]) -> None:
    assert "snakeCase" in fields


def test_an_optional_field_is_absent_never_null(fields: dict[str, Any]) -> None:
    assert fields["limit"] == {"type": "integer", "minimum": 1, "description": "An optional number."}


def test_an_optional_part_keeps_its_rules_under_the_fields_own_description(fields: dict[str, Any]) -> None:
    assert fields["part"]["description"] == "An optional part."
    assert fields["part"]["x-kubernetes-validations"] == [
        {"rule": "self.size < 9", "message": "a part is small"}
    ]


def test_a_default_has_no_nulls(fields: dict[str, Any]) -> None:
    assert fields["standard"]["default"] == {"size": 1}


def test_parts_in_a_list_are_written_out(fields: dict[str, Any]) -> None:
    assert fields["parts"]["items"]["properties"]["size"] == {"type": "integer", "default": 1}
    assert fields["parts"]["items"]["x-kubernetes-validations"]


def test_a_single_choice_is_an_enumeration(fields: dict[str, Any]) -> None:
    assert fields["kind"] == {"type": "string", "enum": ["only"], "default": "only"}


def test_a_time_is_a_string_with_a_format(fields: dict[str, Any]) -> None:
    assert fields["when"] == {"type": "string", "format": "date-time"}


def test_a_free_form_object_says_so(fields: dict[str, Any]) -> None:
    assert fields["anything"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_a_pattern_becomes_a_rule_with_words(fields: dict[str, Any]) -> None:
    assert fields["name"] == {
        "type": "string",
        "maxLength": 9,
        "x-kubernetes-validations": [
            {"rule": r"self.matches('^\\w\'[a-z]$')", "message": "must be a name"},
        ],
    }


def test_the_model_itself_holds_to_the_pattern_too() -> None:
    assert ExampleSpec(name="a'b").name == "a'b"
    with pytest.raises(ValidationError, match="should match pattern"):
        ExampleSpec(name="ab")


def test_a_field_has_rules_of_its_own(fields: dict[str, Any]) -> None:
    assert fields["once"]["x-kubernetes-validations"] == [{"rule": "self || !oldSelf", "message": "stays"}]


def test_fixed_fields_are_told_by_their_path(root: dict[str, Any]) -> None:
    name, limit = root["properties"]["spec"]["x-kubernetes-validations"]

    assert name == {
        "rule": "self.name == oldSelf.name",
        "message": "can't be changed after the Example was created",
        "fieldPath": ".name",
        "reason": "FieldValueForbidden",
    }
    assert limit["rule"] == (
        "has(self.limit) == has(oldSelf.limit) && (!has(self.limit) || self.limit == oldSelf.limit)"
    )


def test_rules_of_the_whole_object_stand_at_the_root(root: dict[str, Any]) -> None:
    assert root["x-kubernetes-validations"] == [{"rule": "self.metadata.name != 'x'", "message": "not x"}]


def test_a_union_of_types_is_refused_early() -> None:
    class Bad(ApiModel):
        metadata: dict[str, Any] = {}
        spec: int | str
        status: ExampleStatus = ExampleStatus()

    with pytest.raises(TypeError, match="no structural schema"):
        open_api_schema(Bad)


def test_the_definition_names_everything() -> None:
    spec = crd(Example)["spec"]
    [version] = spec["versions"]

    assert spec["names"] == {
        "kind": "Example",
        "listKind": "ExampleList",
        "plural": "examples",
        "singular": "example",
        "shortNames": ["ex"],
        "categories": ["qgjob"],
    }
    assert version["subresources"] == {"status": {}}
    assert version["selectableFields"] == [{"jsonPath": ".spec.name"}]
    assert version["additionalPrinterColumns"] == [
        {"name": "Name", "type": "string", "jsonPath": ".spec.name"},
        {
            "name": "Limit",
            "type": "integer",
            "jsonPath": ".spec.limit",
            "description": "how many",
            "priority": 1,
        },
    ]


def _nodes(node: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every node of a schema, with its path."""
    found = [(path, node)]
    for key, value in node.get("properties", {}).items():
        found += _nodes(value, f"{path}.{key}")
    if "items" in node:
        found += _nodes(node["items"], f"{path}[]")
    return found


@pytest.mark.parametrize("model", RESOURCES, ids=lambda model: model.__name__)
def test_every_node_of_a_resource_is_structural(model: type[ApiModel]) -> None:
    for path, node in _nodes(open_api_schema(model)):
        assert "type" in node, path
        assert not PATTERN_KEYWORDS & node.keys(), path


@pytest.mark.parametrize("model", RESOURCES, ids=lambda model: model.__name__)
def test_every_list_and_every_text_with_a_rule_is_bounded(model: type[ApiModel]) -> None:
    """Else the API server reckons with the longest possible one, and refuses the rules on it as too costly."""
    for path, node in _nodes(open_api_schema(model)):
        if path.startswith(".spec") and node["type"] == "array":
            assert "maxItems" in node, path
        if node["type"] == "string" and any("matches" in each["rule"] for each in _rules_of(node)):
            assert "maxLength" in node, path


def _rules_of(node: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = node.get("x-kubernetes-validations", [])
    return found
