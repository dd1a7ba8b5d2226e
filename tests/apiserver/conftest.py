"""A real etcd and kube-apiserver for every test in this folder: started once a run (once in each worker where
pytest has several), in some seconds.

`apiserver` is the server, `namespace` a fresh namespace per test; ask for `controller_manager` too where a
test needs Jobs to make pods, owners to be followed, or a namespace's `default` service account. The first run
on a machine builds the programs, which takes minutes; `hack/cluster binaries` does the same beforehand.
"""

from __future__ import annotations

import base64
import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hack.localcluster import debian
from hack.localcluster.rest import ApiError
from hack.localcluster.throwaway import ThrowawayControlPlane
from hack.s3server import S3Server
from qgjob.api.constants import RUNNER_ACCOUNT, RUNNER_CLUSTER_ROLE
from tests.apiserver.cli_support import Cli, Operator
from tests.apiserver.crds import install_crds
from tests.apiserver.stored_support import BUCKET, Stored
from tests.e2e.appwright.support import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROLE = Path(__file__).parents[2] / "manifests" / "base" / "runner-rbac.yaml"
_RBAC = "rbac.authorization.k8s.io"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ThrowawayControlPlane]:
    with ThrowawayControlPlane() as server:
        yield server


@pytest.fixture
def controller_manager(apiserver: ThrowawayControlPlane) -> Iterator[ThrowawayControlPlane]:
    """The same server, with kube-controller-manager beside it, for this test only: others play its part."""
    apiserver.start_controller_manager()
    yield apiserver
    apiserver.stop_controller_manager()


@pytest.fixture(scope="session")
def crds(apiserver: ThrowawayControlPlane) -> ThrowawayControlPlane:
    """The same server, with qgjob's CustomResourceDefinitions, served."""
    install_crds(apiserver.client)
    return apiserver


@pytest.fixture
def namespace(apiserver: ThrowawayControlPlane) -> Iterator[str]:
    """The name of a namespace that no other test uses."""
    name = f"test-{next(_NUMBERS)}"
    apiserver.client.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    apiserver.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def cli(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> Cli:
    """The program, run against the test's namespace."""
    return Cli(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def operator(crds: ThrowawayControlPlane, namespace: str) -> Operator:
    """Plays the operator and the runners, for tests of the command line."""
    return Operator(crds.kubeconfig, namespace)


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    with S3Server(tmp_path / "s3") as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def bucket(operator: Operator, s3: S3Server) -> Stored:
    return Stored(operator, {"s3": {"endpoint": s3.url, "bucket": BUCKET, "credentialsSecret": "bucket"}})


@pytest.fixture
def secret(operator: Operator) -> None:
    keys = {"accessKeyId": S3Server.ACCESS_KEY_ID, "secretAccessKey": S3Server.SECRET_ACCESS_KEY}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
    operator.client.create("secrets", {"metadata": {"name": "bucket"}, "data": data}, api_version="v1")


@pytest.fixture(scope="session")
def adb() -> str:
    if shutil.which("adb") is None and debian.can_install():
        debian.install_packages(["adb"])
    found = shutil.which("adb")
    assert found, "adb is not installed: these tests talk to a phone by it"
    return found


@pytest.fixture
def phone(adb: str, tmp_path: Path) -> Iterator[SimulatedPhone]:
    with SimulatedPhone(tmp_path / "phone.log") as running:
        yield running


@pytest.fixture
def account(crds: ThrowawayControlPlane, namespace: str) -> Path:
    """A kubeconfig of the runners' service account, bound as the operator binds it."""
    client = crds.client
    try:
        client.create(f"/apis/{_RBAC}/v1/clusterroles", yaml.safe_load(_ROLE.read_text()))
    except ApiError as error:
        if error.status != 409:  # an earlier test made it
            raise
    client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": RUNNER_ACCOUNT}})
    binding = {
        "metadata": {"name": RUNNER_ACCOUNT},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": RUNNER_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": RUNNER_ACCOUNT, "namespace": namespace}],
    }
    client.create(f"/apis/{_RBAC}/v1/namespaces/{namespace}/rolebindings", binding)
    return crds.kubeconfig_for_service_account(namespace, RUNNER_ACCOUNT)
