"""Flags, variables and defaults; and the one line about a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testqueue.settings import SettingsError, parse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cluster(tmp_path: Path) -> list[str]:
    file = tmp_path / "config"
    file.touch()
    return ["--kubeconfig", str(file)]


def test_a_flag_wins_over_its_variable_and_that_over_the_default(cluster: list[str]) -> None:
    environ = {"QGJOB_AGEING_SECONDS": "60", "QGJOB_LOG_LEVEL": "debug"}

    settings = parse([*cluster, "--log-level", "error"], environ)

    assert settings.ageing_seconds == 60
    assert settings.log_level == "error"
    assert settings.ttl_seconds_after_finished == 86400


def test_in_a_pod_the_lease_is_in_the_pods_namespace_and_the_identity_names_the_pod(
    cluster: list[str],
) -> None:
    settings = parse(cluster, {"POD_NAMESPACE": "qgjob-system", "POD_NAME": "operator-1"})

    assert settings.lease_namespace == "qgjob-system"
    assert settings.identity.startswith("operator-1_")


def test_each_process_is_somebody_else(cluster: list[str]) -> None:
    assert parse(cluster, {}).identity != parse(cluster, {}).identity


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["--metrics-port", "http"], {}, "'http' is not a port"),
        (["--ageing-seconds", "0"], {}, "above 0"),
        ([], {"QGJOB_WRITE_CONCURRENCY": "many"}, "from 1 to 1000"),
        (["--log-format", "xml"], {}, "invalid choice"),
        (["--lease-duration-seconds", "5"], {}, "two replicas would lead at once"),
        (["--lease-retry-seconds", "11"], {}, "must be less than --lease-renew-deadline-seconds"),
        (["--colour"], {}, "unrecognized arguments"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    cluster: list[str], arguments: list[str], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse([*cluster, *arguments], environ)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="there is no kubeconfig at /nowhere"):
        parse(["--kubeconfig", "/nowhere"], {})


def test_outside_of_a_pod_a_kubeconfig_is_needed() -> None:
    with pytest.raises(SettingsError, match="--kubeconfig FILE"):
        parse([], {})


@pytest.mark.parametrize(("variable", "value"), [("QGJOB_LOG_LEVEL", "verbose"), ("QGJOB_LOG_FORMAT", "xml")])
def test_what_the_environment_chooses_is_checked_too(variable: str, value: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()

    with pytest.raises(SettingsError, match=f"{value}.*choose of"):
        parse(["--kubeconfig", str(kubeconfig)], {variable: value})
