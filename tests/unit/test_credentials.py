"""Which Secrets a target needs as files, and which one fits a repository."""

from __future__ import annotations

from typing import Any

import pytest

from qgjob.api.credentials import git_purpose, needs_courier, secret_files


def test_each_purpose_names_its_secret() -> None:
    spec = {
        "app": {"headersSecret": "headers", "s3": {"credentialsSecret": "apps"}},
        "artifacts": {"s3": {"credentialsSecret": "artifacts"}},
        "gitCredentials": [{"urlPrefix": "a", "secret": "one"}, {"urlPrefix": "b", "secret": "two"}],
    }

    assert secret_files(spec) == {
        "app-headers": "headers",
        "app-s3": "apps",
        "artifacts-s3": "artifacts",
        "git-0": "one",
        "git-1": "two",
    }


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({}, False),
        ({"app": {"url": "https://host/{appVersionId}"}}, False),
        ({"secretEnv": [{"name": "A", "secret": "s", "key": "k"}]}, False),
        ({"app": {"headersSecret": "s"}}, True),
        ({"artifacts": {"persistentVolumeClaim": {"claimName": "c"}}}, True),
        ({"provider": {"browserstack": {"credentialsSecret": "s"}}}, True),
    ],
)
def test_a_courier_is_there_for_what_tests_must_not_reach(spec: dict[str, Any], needed: bool) -> None:
    assert needs_courier(spec) is needed


PREFIXES = ["https://git.example.com/", "https://git.example.com/team", "git@git.example.com:"]


@pytest.mark.parametrize(
    ("url", "purpose"),
    [
        ("https://git.example.com/other/tests.git", "git-0"),
        ("https://git.example.com/team/tests.git", "git-1"),
        ("https://git.example.com/team-b/tests.git", "git-0"),
        ("git@git.example.com:team/tests.git", "git-2"),
        ("https://git.example.com.evil.io/team/tests.git", None),
        ("https://git.example.com@evil.io/team/tests.git", None),
        ("https://git.example.com/team/../other/tests.git", None),
        ("https://git.example.com/team/%2e%2e/other/tests.git", None),
        ("http://git.example.com/team/tests.git", None),
    ],
)
def test_the_longest_prefix_counts_up_to_where_a_host_or_a_folder_ends(url: str, purpose: str | None) -> None:
    assert git_purpose(url, PREFIXES) == purpose


@pytest.mark.parametrize("url", ["https://git.example.com.evil.io/x", "https://git.example.com@evil.io/x"])
def test_a_prefix_without_a_slash_is_no_other_host(url: str) -> None:
    assert git_purpose(url, ["https://git.example.com"]) is None
