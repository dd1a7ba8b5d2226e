"""The rights that the runner's role gives are enough for a whole batch, and give no way to anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hack.localcluster.rest import ApiError
from qgjob.api.constants import RUNNER_ACCOUNT, RUNNER_CLUSTER_ROLE, TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from qgjob.client import ApiError as Refused
from qgjob.client import Client
from tests.apiserver.runner_support import World

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

ROLE = Path(__file__).parents[2] / "manifests" / "base" / "runner-rbac.yaml"
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
def account(crds: ThrowawayControlPlane, namespace: str) -> Path:
    """A kubeconfig of the runners' service account, bound as the operator binds it."""
    client = crds.client
    try:
        client.create(f"/apis/{RBAC}/v1/clusterroles", yaml.safe_load(ROLE.read_text()))
    except ApiError as error:
        if error.status != 409:  # an earlier test made it
            raise
    client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": RUNNER_ACCOUNT}})
    binding = {
        "metadata": {"name": RUNNER_ACCOUNT},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": RUNNER_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": RUNNER_ACCOUNT, "namespace": namespace}],
    }
    client.create(f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings", binding)
    return crds.kubeconfig_for_service_account(namespace, RUNNER_ACCOUNT)


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
