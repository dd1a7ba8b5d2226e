"""What the models of all three resources share: naming, unknown fields, and the marks for the CRD generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
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
    """One CEL validation rule (`x-kubernetes-validations`) with the message a person reads when it refuses."""

    rule: str
    message: str


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
