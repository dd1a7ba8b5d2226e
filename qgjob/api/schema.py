"""CustomResourceDefinitions from the pydantic models.

Kubernetes wants a structural schema: no `$ref`, no `anyOf` with null, a type at every node. Pydantic's JSON schema
is turned into one, and the models' RULES (CEL), COLUMNS and SELECTABLE fields become the parts that JSON schema
has no word for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, get_args

from pydantic import BaseModel

from .constants import GROUP, VERSION
from .testbatch import TestBatch
from .testjob import TestJob
from .testtarget import TestTarget

if TYPE_CHECKING:
    from .base import ApiModel, Column, Rule

_DROPPED = frozenset({"title", "additionalProperties", "const", "anyOf", "$ref", "discriminator"})


class Resource(Protocol):
    """What a model must say about itself to become a CustomResourceDefinition."""

    PLURAL: str
    SHORT_NAMES: tuple[str, ...]
    SELECTABLE: tuple[str, ...]
    COLUMNS: tuple[Column, ...]


RESOURCES: tuple[type[ApiModel], ...] = (TestJob, TestBatch, TestTarget)


def crd(model: type[ApiModel]) -> dict[str, Any]:
    """The CustomResourceDefinition of one resource."""
    kind = model.__name__
    plural, short_names = model.PLURAL, model.SHORT_NAMES  # type: ignore[attr-defined]
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": open_api_schema(model)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in model.COLUMNS],  # type: ignore[attr-defined]
    }
    if fields := model.SELECTABLE:  # type: ignore[attr-defined]
        version["selectableFields"] = [{"jsonPath": path} for path in fields]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short_names),
                "categories": ["qgjob"],
            },
            "versions": [version],
        },
    }


def open_api_schema(model: type[ApiModel]) -> dict[str, Any]:
    """The structural schema of one resource, from its root."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    rules = _rules_by_title(model)
    definitions = raw.get("$defs", {})
    root = _structural(raw, definitions, rules, model.__name__)
    properties = root["properties"]
    properties["metadata"] = {"type": "object"}
    # Without a default here the API server would default nothing inside a status that was never written.
    properties["status"]["default"] = {}
    return {
        "description": root.get("description", ""),
        "type": "object",
        "required": ["spec"],
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **properties},
        **({key: root[key]} if (key := "x-kubernetes-validations") in root else {}),
    }


def _rules_by_title(model: type[BaseModel]) -> dict[str, tuple[Rule, ...]]:
    """RULES of the model and of every model below it, by class name (which is pydantic's `$defs` key)."""
    found: dict[str, tuple[Rule, ...]] = {}
    queue: list[Any] = [model]
    while queue:
        kind = queue.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind.__name__ in found:
                continue
            found[kind.__name__] = getattr(kind, "RULES", ())
            queue.extend(field.annotation for field in kind.model_fields.values())
        else:
            queue.extend(get_args(kind))
    return found


def _structural(
    node: dict[str, Any], definitions: dict[str, Any], rules: dict[str, tuple[Rule, ...]], name: str = ""
) -> dict[str, Any]:
    """The node without what Kubernetes refuses. `name` is the model's, where the node is one."""
    node = dict(node)
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        # What stands beside the reference (a field's own description or default) is more exact than the model's.
        node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
    nullable = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if nullable:
        if len(nullable) != 1:
            raise TypeError(f"a union of several types has no structural schema: {node}")
        inner = _structural(nullable[0], definitions, rules)
        own = {
            key: value
            for key, value in node.items()
            if key not in _DROPPED and not (key == "default" and value is None)
        }
        return {**inner, **own}
    out: dict[str, Any] = {key: value for key, value in node.items() if key not in _DROPPED}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "default" in out:
        out["default"] = _without_nulls(out["default"])
        if out["default"] is None:
            del out["default"]
    if "properties" in out:
        out["properties"] = {
            key: _structural(value, definitions, rules)
            for key, value in out["properties"].items()
            if key != "metadata"
        } | ({"metadata": {}} if "metadata" in out["properties"] else {})
    if isinstance(out.get("items"), dict):
        out["items"] = _structural(out["items"], definitions, rules)
    if out.get("format") == "date-time":
        out["type"] = "string"
    if own_rules := rules.get(name):
        out["x-kubernetes-validations"] = [rule.to_wire() for rule in own_rules]
    return out


def _without_nulls(value: Any) -> Any:
    """A default as the API server takes it: an optional field that is not set is absent, never null."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _column(column: Column) -> dict[str, Any]:
    out: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.description:
        out["description"] = column.description
    if column.priority:
        out["priority"] = column.priority
    return out
