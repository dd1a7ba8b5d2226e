"""What the other tests of this folder rely on: a real API server that knows who asks and outlives outages."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

import pytest

from hack.localcluster.rest import ApiError

if TYPE_CHECKING:
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane


def whoami(kubeconfig: Path, ca_file: Path) -> dict[str, Any]:
    """Ask the server who a token belongs to (SelfSubjectReview)."""
    config = json.loads(kubeconfig.read_text())
    request = urllib.request.Request(
        f"{config['clusters'][0]['cluster']['server']}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        data=json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {config['users'][0]['user']['token']}",
        },
    )
    context = ssl.create_default_context(cafile=str(ca_file))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        user: dict[str, Any] = json.load(answer)["status"]["userInfo"]
    return user


def create_service_account(apiserver: ThrowawayControlPlane, namespace: str, name: str) -> None:
    apiserver.client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})


def test_a_token_can_be_bound_to_a_pod(apiserver: ThrowawayControlPlane, namespace: str) -> None:
    create_service_account(apiserver, namespace, "runner")
    pod = {
        "metadata": {"name": "b1234-abcde"},
        "spec": {"serviceAccountName": "runner", "containers": [{"name": "main", "image": "never-pulled"}]},
    }
    apiserver.client.create(f"/api/v1/namespaces/{namespace}/pods", pod)

    kubeconfig = apiserver.kubeconfig_for_service_account(namespace, "runner", pod="b1234-abcde")

    user = whoami(kubeconfig, apiserver.ca_file)
    assert user["username"] == f"system:serviceaccount:{namespace}:runner"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["b1234-abcde"]


def test_a_stranger_is_refused(apiserver: ThrowawayControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(apiserver.ca_file))
    with pytest.raises(HTTPError, match="401"):
        urllib.request.urlopen(f"{apiserver.url}/api/v1/namespaces", context=context, timeout=10)


def test_the_server_is_refused_by_whoever_does_not_trust_its_authority(
    apiserver: ThrowawayControlPlane,
) -> None:
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(apiserver.url, context=ssl.create_default_context(), timeout=10)


def test_data_outlive_an_outage(apiserver: ThrowawayControlPlane, namespace: str) -> None:
    create_service_account(apiserver, namespace, "kept")

    apiserver.stop()
    with pytest.raises(OSError, match="refused"):
        apiserver.client.get("/readyz")
    apiserver.start()

    accounts = apiserver.client.get(f"/api/v1/namespaces/{namespace}/serviceaccounts")["items"]
    assert "kept" in {account["metadata"]["name"] for account in accounts}


def test_the_controller_manager_follows_owners(
    controller_manager: ThrowawayControlPlane, namespace: str
) -> None:
    client = controller_manager.client
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = client.create(maps, {"metadata": {"name": "owner"}})
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    client.create(maps, {"metadata": {"name": "owned", "ownerReferences": [reference]}})

    client.delete(f"{maps}/owner")

    assert_gone_within(30, controller_manager, f"{maps}/owned")


def assert_gone_within(seconds: float, server: ThrowawayControlPlane, path: str) -> None:
    deadline = time.monotonic() + seconds
    while is_there(server, path):
        assert time.monotonic() < deadline, f"{path} is still there after {seconds} s"
        time.sleep(0.1)


def is_there(server: ThrowawayControlPlane, path: str) -> bool:
    try:
        server.client.get(path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True
