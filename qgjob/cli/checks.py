"""Mistakes that can be told before any request, in the words of the resources' own rules. Pure.

The CustomResourceDefinition is what decides; these are its limits again without pydantic, which would make
every command slower by more than the request it saves. tests/unit/cli compares the two.
"""

from __future__ import annotations

import re
from typing import Any, Final

IDENTIFIER: Final = r"^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$"
TARGET_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
VARIABLE_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
#: Kubernetes' rule for the name of an object (RFC 1123 subdomain).
OBJECT_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

#: Lowest and highest value of a number in a TestJob's spec.
RANGES: Final[dict[str, tuple[int, int]]] = {
    "priority": (1, 10),
    "maxRetries": (0, 100),
    "timeoutSeconds": (1, 86400),
    "ttlSecondsAfterFinished": (0, 31536000),
}
#: Longest text, in characters.
LENGTHS: Final[dict[str, int]] = {"orgId": 128, "appVersionId": 128, "target": 63, "test": 512}
ISOLATIONS: Final = ("clear", "reinstall")
MAX_VARIABLES: Final = 64
MAX_VARIABLE_NAME: Final = 128
MAX_VARIABLE_VALUE: Final = 4096
MAX_OBJECT_NAME: Final = 253

#: How the CLI's user says a field, where that differs.
OPTIONS: Final[dict[str, str]] = {
    "orgId": "--org-id",
    "appVersionId": "--app-version-id",
    "test": "--test",
    "target": "--target",
    "priority": "--priority",
    "maxRetries": "--max-retries",
    "timeoutSeconds": "--timeout",
    "ttlSecondsAfterFinished": "--ttl",
    "isolation": "--isolation",
    "env": "--env",
}


def problems(spec: dict[str, Any]) -> list[str]:
    """What is wrong with a TestJob's spec made from options; empty where nothing is."""
    found = [
        *_identifier(spec, "orgId"),
        *_identifier(spec, "appVersionId"),
        *_target(spec),
        *_test(spec),
        *_numbers(spec),
        *_variables(spec.get("env", [])),
    ]
    if spec.get("isolation", "clear") not in ISOLATIONS:
        found.append(f"--isolation {spec['isolation']}: one of {', '.join(ISOLATIONS)}")
    return found


def job_id_problem(job_id: str) -> str:
    """What is wrong with a job id; empty where nothing is."""
    if len(job_id) > MAX_OBJECT_NAME or not re.match(OBJECT_NAME, job_id):
        return (
            f"--job-id {job_id!r}: lower-case letters, digits, '-' and '.', beginning and ending with a "
            f"letter or digit, at most {MAX_OBJECT_NAME} characters"
        )
    return ""


def parse_variable(text: str) -> dict[str, str]:
    """`NAME=value` as an entry of spec.env. Raises ValueError."""
    variable, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--env {text}: write it as NAME=value")
    return {"name": variable, "value": value}


def _identifier(spec: dict[str, Any], key: str) -> list[str]:
    value, limit = str(spec[key]), LENGTHS[key]
    if len(value) > limit or not re.match(IDENTIFIER, value):
        allowed = "letters, digits, '.', '_', '+' and '-', beginning and ending with a letter or digit"
        return [f"{OPTIONS[key]} {value!r}: {allowed}, at most {limit} characters"]
    return []


def _target(spec: dict[str, Any]) -> list[str]:
    value = str(spec["target"])
    if len(value) > LENGTHS["target"] or not re.match(TARGET_NAME, value):
        allowed = f"lower-case letters, digits and '-', at most {LENGTHS['target']} characters"
        return [f"--target {value!r}: the name of a TestTarget: {allowed} (`qgjob targets` lists them)"]
    return []


def _test(spec: dict[str, Any]) -> list[str]:
    value = str(spec["test"])
    if not value or len(value) > LENGTHS["test"]:
        return [f"--test {value!r}: 1 to {LENGTHS['test']} characters"]
    if value.startswith("/") or ".." in value.split("/"):
        return [f"--test {value}: must be a path inside the source: relative, without '..'"]
    return []


def _numbers(spec: dict[str, Any]) -> list[str]:
    found = []
    for key, (low, high) in RANGES.items():
        if key in spec and not low <= spec[key] <= high:
            hint = " (10 runs first)" if key == "priority" else ""
            found.append(f"{OPTIONS[key]} {spec[key]}: {key} must be between {low} and {high}{hint}")
    return found


def _variables(env: list[dict[str, str]]) -> list[str]:
    found = []
    seen: set[str] = set()
    for entry in env:
        key, value = entry["name"], entry["value"]
        if len(key) > MAX_VARIABLE_NAME or not re.match(VARIABLE_NAME, key):
            found.append(f"--env {key}=…: a name has letters, digits and '_', and doesn't begin with a digit")
        elif key in seen:
            found.append(f"--env {key}: given twice")
        elif len(value) > MAX_VARIABLE_VALUE:
            found.append(f"--env {key}: the value is longer than {MAX_VARIABLE_VALUE} characters")
        seen.add(key)
    if len(env) > MAX_VARIABLES:
        found.append(f"--env: {len(env)} variables, at most {MAX_VARIABLES}")
    return found
