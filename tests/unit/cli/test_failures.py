"""The API server's refusals in words for whoever typed the command."""

from __future__ import annotations

import pytest

from qgjob.cli.exits import Exit
from qgjob.cli.failures import explain
from qgjob.client import ApiError, ConfigError, Unreachable


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (Unreachable("no answer from x"), "no answer from x", Exit.INFRASTRUCTURE),
        (ConfigError("no kubeconfig"), "no kubeconfig", Exit.INFRASTRUCTURE),
        (ApiError(401, "Unauthorized", "Unauthorized"), "log in again", Exit.INFRASTRUCTURE),
        (ApiError(403, "Forbidden", 'User "x" cannot'), 'not allowed: User "x" cannot', Exit.INFRASTRUCTURE),
        (ApiError(404, "", "HTTP 404: 404 page not found"), "aren't installed", Exit.INFRASTRUCTURE),
        (
            ApiError(404, "NotFound", "x", {"kind": "testjobs", "name": "j"}),
            "no job 'j' in this namespace",
            Exit.USAGE,
        ),
        (
            ApiError(404, "NotFound", "x", {"kind": "namespaces", "name": "ci"}),
            "no namespace 'ci': create it",
            Exit.USAGE,
        ),
        (ApiError(503, "ServiceUnavailable", "etcd"), "try again", Exit.INFRASTRUCTURE),
        (
            ApiError(400, "BadRequest", 'cannot be handled: strict decoding error: unknown field "spec.foo"'),
            'the API server refuses it: unknown field "spec.foo"',
            Exit.USAGE,
        ),
        (ApiError(409, "Conflict", "changed"), "the API server refuses it: changed", Exit.USAGE),
    ],
)
def test_each_refusal_says_what_to_do(error: Exception, words: str, code: Exit) -> None:
    explained = explain(error)  # type: ignore[arg-type]

    assert words in str(explained)
    assert explained.code is code


def test_an_invalid_object_is_told_field_by_field() -> None:
    causes = [
        {
            "field": "spec.priority",
            "message": "Invalid value: 11: spec.priority in body should be at most 10",
        },
        {"field": "spec", "message": 'Invalid value: "object": test must be a path inside the source'},
        {"field": "spec", "message": "Invalid value: test must be a path inside the source"},
    ]

    explained = explain(ApiError(422, "Invalid", "long", {"causes": causes}))

    assert str(explained).splitlines() == [
        "the API server refuses it:",
        "  spec.priority: 11: should be at most 10",
        "  spec: test must be a path inside the source",
    ]
