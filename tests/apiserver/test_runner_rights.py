"""The rights that the runner's role gives are enough for a whole batch, and give no way to anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from qgjob.client import ApiError as Refused
from qgjob.client import Client
from tests.apiserver.runner_support import World

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


def test_a_batch_needs_no_more_than_the_role_gives(
    crds: ThrowawayControlPlane, account: Path, namespace: str, tmp_path: Path
) -> None:
    world = World(crds.kubeconfig, namespace, tmp_path)
    world.target()
    batch = world.batch([world.job("one"), world.job("two", source={"configMap": {"name": "missing"}})])

    world.run(batch, kubeconfig=account)

    assert world.phase("one") == "Succeeded"
    assert world.status("two")["reason"] == "SourceInvalid"


def test_a_runner_reads_no_secret_and_changes_no_spec(
    crds: ThrowawayControlPlane, account: Path, namespace: str, tmp_path: Path
) -> None:
    World(crds.kubeconfig, namespace, tmp_path).job("one")
    runner = Client.from_kubeconfig(str(account), namespace=namespace)

    with pytest.raises(Refused, match="forbidden"):
        next(runner.list("secrets", api_version="v1"))
    with pytest.raises(Refused, match="forbidden"):
        runner.patch(TEST_JOBS, "one", {"spec": {"priority": 10}}, kind="merge")


def test_a_runner_asks_and_does_not_watch(account: Path, namespace: str) -> None:
    runner = Client.from_kubeconfig(str(account), namespace=namespace)

    for plural in (TEST_JOBS, TEST_BATCHES, TEST_TARGETS):
        with pytest.raises(Refused, match="forbidden"):
            runner.watch(plural, resource_version="0")
