"""What the models of all three resources share: naming, unknown fields, and the marks for the CRD generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of a resource: snake_case here, camelCase on the wire.

    Unknown fields are ignored when read: a newer server may know more than this program.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as Kubernetes stores it: camelCase, fields that were never set left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL validation rule (`x-kubernetes-validations`) with the message a person reads when it refuses.

    `field` is the path below the model that the refusal names (`.test`); the model itself otherwise.
    """

    rule: str
    message: str
    field: str = ""
    reason: Literal["FieldValueInvalid", "FieldValueForbidden"] = "FieldValueInvalid"

    def to_wire(self) -> dict[str, str]:
        """The rule as a CustomResourceDefinition holds it."""
        out = {"rule": self.rule, "message": self.message}
        if self.field:
            out["fieldPath"] = self.field
        if self.reason != "FieldValueInvalid":
            out["reason"] = self.reason
        return out


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get` (`additionalPrinterColumns`). Priority 1 shows only with `-o wide`."""

    name: str
    type: str
    json_path: str
    description: str = ""
    priority: int = 0


def schema(**extensions: Any) -> dict[str, Any]:
    """`json_schema_extra` for a field: Kubernetes' schema extensions, written with underscores for dashes.

    `schema(x_kubernetes_list_type="map")` gives `{"x-kubernetes-list-type": "map"}`.
    """
    return {key.replace("_", "-"): value for key, value in extensions.items()}


def rules(*own: Rule) -> dict[str, Any]:
    """`json_schema_extra` for a field with CEL rules of its own; those with `oldSelf` hold for changes only."""
    return {"x-kubernetes-validations": [rule.to_wire() for rule in own]}


def matching(pattern: str, message: str, *, max_length: int, description: str = "") -> Any:
    """A string field that must match a regular expression, and is refused with `message` where it does not.

    In a CustomResourceDefinition this is a CEL rule, because the answer to a mere `pattern` is "should match
    '^…$'", which tells nobody what to write instead. `max_length` bounds the rule's cost.
    """

    def as_rule(node: dict[str, Any]) -> None:
        if "anyOf" in node:  # an optional string
            node = next(branch for branch in node["anyOf"] if "pattern" in branch)
        del node["pattern"]
        quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
        node.update(rules(Rule(f"self.matches('{quoted}')", message)))

    return Field(
        pattern=pattern, max_length=max_length, description=description or None, json_schema_extra=as_rule
    )


def fixed(kind: str, *fields: str, optional: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Rules that make fields of a `kind` immutable; optional ones may be neither added nor removed either."""
    message = f"can't be changed after the {kind} was created"
    found = [
        Rule(f"self.{field} == oldSelf.{field}", message, f".{field}", "FieldValueForbidden")
        for field in fields
    ]
    for field in optional:
        same = (
            f"has(self.{field}) == has(oldSelf.{field}) && "
            f"(!has(self.{field}) || self.{field} == oldSelf.{field})"
        )
        found.append(Rule(same, message, f".{field}", "FieldValueForbidden"))
    return tuple(found)


#: An object that Kubernetes keeps as it is, whatever is in it.
PreservedObject = Annotated[
    dict[str, Any], Field(json_schema_extra=schema(x_kubernetes_preserve_unknown_fields=True))
]
SecretName = Annotated[
    str,
    matching(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "must be an object's name: lower-case letters and digits, with '-' or '.' between them",
        max_length=253,
    ),
]
