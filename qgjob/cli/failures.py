"""The client's errors in words for whoever typed the command. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .exits import CliError, Exit

if TYPE_CHECKING:
    from qgjob.client import ApiError, ClientError

INSTALL_HINT: Final = (
    "`make deploy`, or `kubectl apply -k manifests/base` from qgjob's repository, installs it"
)
_MOST_CAUSES: Final = 8


def explain(error: ClientError) -> CliError:
    """What to print and which code to exit with."""
    from qgjob.client import ApiError

    if isinstance(error, ApiError):
        return _explain_refusal(error)
    return CliError(str(error), Exit.INFRASTRUCTURE)


def _explain_refusal(error: ApiError) -> CliError:
    status, message = error.status, error.message
    if status == 401:
        return CliError(
            "the API server doesn't accept these credentials (401): log in again, or choose another context",
            Exit.INFRASTRUCTURE,
        )
    if status == 403:
        return CliError(
            f"not allowed: {message}\nAsk for that right, or choose another --context or --namespace",
            Exit.INFRASTRUCTURE,
        )
    if status == 404:
        return _explain_absence(error)
    if error.is_invalid and error.causes:
        return CliError("\n".join(["the API server refuses it:", *invalid_fields(error)]))
    if status == 400 and "strict decoding error: " in message:
        return CliError(f"the API server refuses it: {message.split('strict decoding error: ', 1)[1]}")
    if status == 429 or status >= 500:
        return CliError(
            f"the API server can't answer now ({status}: {message}): try again", Exit.INFRASTRUCTURE
        )
    return CliError(f"the API server refuses it: {message}")


def _explain_absence(error: ApiError) -> CliError:
    kind, name = error.details.get("kind", ""), error.details.get("name", "")
    if kind == "namespaces":
        return CliError(f"no namespace {name!r}: create it, or choose another with --namespace")
    if name:
        words = {"testjobs": "job", "testbatches": "batch", "testtargets": "target"}
        return CliError(
            f"no {words.get(kind, kind)} {name!r} in this namespace (--namespace chooses another)"
        )
    return CliError(
        f"qgjob's resources aren't installed in this cluster: {INSTALL_HINT}", Exit.INFRASTRUCTURE
    )


def invalid_fields(error: ApiError) -> list[str]:
    """One line for each field that the schema or a CEL rule refuses."""
    lines = [f"  {field}: {_cause(field, message)}" for field, message in error.causes]
    lines = list(dict.fromkeys(lines))
    if len(lines) > _MOST_CAUSES:
        lines = [*lines[:_MOST_CAUSES], f"  and {len(lines) - _MOST_CAUSES} more"]
    return lines


def _cause(field: str, message: str) -> str:
    """`Invalid value: 11: spec.priority in body should be …` without what the line says already."""
    message = re.sub(r'^Invalid value: ("object": )?', "", message)
    return message.replace(f"{field} in body ", "")
