"""What `qgjob` says where it may not, or cannot, talk to the cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hack.localcluster.throwaway import ThrowawayControlPlane
from qgjob.api.constants import API_VERSION, GROUP, TEST_TARGETS
from tests.apiserver.cli_support import NEEDED, Cli, Object, Operator
from tests.apiserver.stored_support import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFESTS = Path(__file__).parents[2] / "manifests"
COMMAND = {"driver": {"name": "command", "command": {"test": ["true"]}}}
SUBMISSION = ("submit", *NEEDED, "--test", "a.ts")


@pytest.fixture(scope="module")
def bare() -> Iterator[ThrowawayControlPlane]:
    """A server without qgjob's resources."""
    with ThrowawayControlPlane() as server:
        yield server


def account(server: ThrowawayControlPlane, namespace: str, name: str, *rules: Object) -> Path:
    """A kubeconfig of an account that has these rights and no others."""
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    server.client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    server.client.create(f"{root}/roles", {"metadata": {"name": name}, "rules": [*rules]})
    server.client.create(
        f"{root}/rolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )
    return server.kubeconfig_for_service_account(namespace, name)


def rule(group: str, resource: str, *verbs: str) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": [*verbs]}


@pytest.fixture
def restricted(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> Cli:
    """An account that may read TestJobs and nothing else."""
    reading = rule(GROUP, "testjobs", "get", "list", "watch")
    return Cli(account(crds, namespace, "reader", reading), namespace, tmp_path)


def test_who_may_not_submit_is_told_what_is_missing(restricted: Cli, namespace: str) -> None:
    answer = restricted.run(*SUBMISSION)

    assert answer.code == 4
    assert answer.stdout == ""
    assert (
        f'User "system:serviceaccount:{namespace}:reader" cannot create resource "testjobs"' in answer.stderr
    )
    assert answer.last_line.startswith("Ask for that right")


def test_who_may_only_read_can_wait(restricted: Cli, crds: ThrowawayControlPlane, namespace: str) -> None:
    operator = Operator(crds.kubeconfig, namespace)
    operator.create("a")
    waiting = restricted.start("wait", "a", "--timeout", "120")
    waiting.until("Waiting in queue")
    operator.run_to("a", "passed")

    assert waiting.end().code == 0


def with_roles(crds: ThrowawayControlPlane, namespace: str, folder: Path, *names: str) -> Cli:
    """The program with an account that has these roles of the manifests, and no other."""
    root = "/apis/rbac.authorization.k8s.io/v1"
    crds.client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "ci"}})
    for role in yaml.safe_load_all((MANIFESTS / "base/user-rbac.yaml").read_text()):
        if role["metadata"]["name"] not in names:
            continue
        name = role["metadata"]["name"] = f"{role['metadata']['name']}-{namespace}"
        crds.client.create(f"{root}/clusterroles", role)
        crds.client.create(
            f"{root}/namespaces/{namespace}/rolebindings",
            {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": namespace}],
            },
        )
    return Cli(crds.kubeconfig_for_service_account(namespace, "ci"), namespace, folder)


@pytest.fixture
def submitter(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> Cli:
    """An account with the role that the manifests have for CI."""
    return with_roles(crds, namespace, tmp_path, "qgjob-submitter")


@pytest.mark.parametrize(
    ("roles", "code"), [(("qgjob-view", "qgjob-admin"), 0), (("qgjob-view", "qgjob-edit"), 4)]
)
def test_administrators_drain_devices(
    crds: ThrowawayControlPlane, namespace: str, tmp_path: Path, roles: tuple[str, ...], code: int
) -> None:
    spec = {"provider": {"devices": [{"name": "pixel", "address": "h:5555"}]}, **COMMAND}
    body = {"apiVersion": API_VERSION, "kind": "TestTarget", "metadata": {"name": "phones"}, "spec": spec}
    Operator(crds.kubeconfig, namespace).client.create(TEST_TARGETS, body)

    answer = with_roles(crds, namespace, tmp_path, *roles).run("targets", "drain", "phones", "pixel")

    assert answer.code == code, answer.stderr


def test_the_role_for_ci_is_enough_for_every_command(
    submitter: Cli, crds: ThrowawayControlPlane, namespace: str
) -> None:
    operator = Operator(crds.kubeconfig, namespace)
    folder = submitter.folder / "e2e"
    folder.mkdir()
    (folder / "a.ts").touch()
    submission = (*SUBMISSION, "--source-dir", str(folder), "--job-id", "ci-1", "--max-retries", "0")
    assert submitter.run(*submission).code == 0
    assert submitter.run(*submission).code == 0
    assert submitter.run(*submission, "--priority", "9").code == 2  # known, and refused for its content
    operator.run_to("ci-1", "failed", "no button")

    assert submitter.run("wait", "ci-1").code == 1
    assert submitter.run("dlq", "replay", "ci-1").code == 0
    assert submitter.run("cancel", "ci-1").code == 0
    for command in (["status", "ci-1"], ["list"], ["dlq", "list"], ["targets"], ["batches"], ["version"]):
        assert submitter.run(*command).code == 0
    assert "is gone" in submitter.run("logs", "ci-1").stderr  # and not: may not be read


def test_a_report_goes_by_statuses_for_whom_the_target_is_not_to_be_read(
    restricted: Cli, operator: Operator
) -> None:
    operator.create("a")
    Stored(operator, {"persistentVolumeClaim": {"claimName": "artifacts"}}).attempt("a", "passed")

    answer = restricted.run("report", "--junit", "all.xml", "a")

    assert answer.code == 0, answer.stderr
    assert "going by statuses alone, since stored reports can't be read: not allowed" in answer.stderr
    assert (restricted.folder / "all.xml").exists()


def test_the_ids_are_told_where_the_files_can_not_be_owned(
    crds: ThrowawayControlPlane, namespace: str, tmp_path: Path
) -> None:
    rights = (rule(GROUP, "testjobs", "create"), rule("", "configmaps", "create"))
    cli = Cli(account(crds, namespace, "half", *rights), namespace, tmp_path)
    (tmp_path / "e2e").mkdir()
    (tmp_path / "e2e/a.ts").touch()

    answer = cli.run(*SUBMISSION, "--source-dir", "e2e", "--job-id", "ci-1")

    assert answer.code == 0
    assert answer.json["job_id"] == "ci-1"
    assert (
        "the jobs are submitted, but their files will not be deleted with them: not allowed" in answer.stderr
    )


def test_the_version_needs_no_rights(restricted: Cli) -> None:
    assert restricted.run("version").json["server_api"] == f"{GROUP}/v1alpha1"


def test_a_token_that_is_not_accepted_is_told(cli: Cli, crds: ThrowawayControlPlane) -> None:
    document = json.loads(crds.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": "expired"}
    (cli.folder / "config").write_text(json.dumps(document))

    answer = cli.run("list", "--kubeconfig", "config")

    assert answer.code == 4
    assert "doesn't accept these credentials (401): log in again" in answer.stderr


def test_a_server_that_is_not_there_is_told(cli: Cli, crds: ThrowawayControlPlane) -> None:
    document = json.loads(crds.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (cli.folder / "config").write_text(json.dumps(document))

    answer = cli.run(*SUBMISSION, "--kubeconfig", "config")

    assert answer.code == 4
    assert "no answer from the Kubernetes API server https://127.0.0.1:1" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_certificate_that_is_not_trusted_is_told(cli: Cli, crds: ThrowawayControlPlane) -> None:
    document = json.loads(crds.kubeconfig.read_text())
    for key in ("certificate-authority", "certificate-authority-data"):
        document["clusters"][0]["cluster"].pop(key, None)
    (cli.folder / "config").write_text(json.dumps(document))

    answer = cli.run("list", "--kubeconfig", "config")

    assert answer.code == 4
    assert "isn't trusted" in answer.stderr
    assert "certificate-authority-data" in answer.stderr


@pytest.mark.parametrize("command", [SUBMISSION, ("list",), ("status", "a"), ("wait", "a"), ("targets",)])
def test_a_cluster_without_qgjob_is_told(
    bare: ThrowawayControlPlane, tmp_path: Path, command: tuple[str, ...]
) -> None:
    answer = Cli(bare.kubeconfig, "default", tmp_path).run(*command)

    assert answer.code == 4
    assert "qgjob's resources aren't installed in this cluster" in answer.stderr
    assert "kubectl apply -k" in answer.stderr


def test_the_version_tells_of_a_cluster_without_qgjob(bare: ThrowawayControlPlane, tmp_path: Path) -> None:
    row = Cli(bare.kubeconfig, "default", tmp_path).run("version").json

    assert row["kubernetes"].startswith("v1.")
    assert "isn't installed" in row["problem"]


def test_the_namespace_is_the_options_then_the_environments_then_the_contexts(
    cli: Cli, crds: ThrowawayControlPlane, namespace: str
) -> None:
    operator = Operator(crds.kubeconfig, namespace)
    operator.create("a")
    elsewhere = {"QGJOB_NAMESPACE": "kube-public"}

    assert cli.run("status", "a").code == 0
    assert cli.run("status", "a", **elsewhere).code == 2
    assert cli.run("status", "a", "-n", namespace, **elsewhere).code == 0
    assert cli.run("-n", namespace, "status", "a", **elsewhere).code == 0
    assert "in namespace default" in cli.run("status", "a", QGJOB_NAMESPACE="").stderr


def test_a_context_that_is_not_there_is_told(cli: Cli) -> None:
    answer = cli.run("list", "--context", "prod")

    assert answer.code == 4
    assert "has no context 'prod' (it has: " in answer.stderr


def test_no_colour_in_a_pipe(cli: Cli) -> None:
    assert "\033" not in cli.run(*SUBMISSION, "-o", "table").stdout
