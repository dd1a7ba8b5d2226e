"""The local cluster, from nothing to nothing: brought up, used, crashed, repaired, and removed without a trace.

It runs on a machine of its own (see machine.py), so a cluster that is up here is neither used nor disturbed.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from hack.localcluster import debian
from hack.localcluster.containerd import write_image_archive
from hack.localcluster.programs import KUBERNETES, LOCAL_CLUSTER, ensure_built
from hack.localcluster.report import Report
from tests.e2e.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.machine import Traces

pytestmark = [
    pytest.mark.cluster_lifecycle,
    pytest.mark.skipif(os.geteuid() != 0, reason="a local cluster needs root"),
]

COMPONENTS = (
    *("containerd", "etcd", "kube-apiserver", "kube-controller-manager"),
    *("kube-scheduler", "kube-proxy", "kubelet"),
)

# An image with one static program serves every purpose: kubectl is client, server and something to exec.
IMAGE = "localhost/kubectl:1"
WORKLOAD = f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: viewer}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: viewer}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
subjects: [{{kind: ServiceAccount, name: viewer, namespace: default}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: server, labels: {{app: server}}}}
spec:
  dnsPolicy: Default
  serviceAccountName: viewer
  containers:
    - name: main
      image: {IMAGE}
      imagePullPolicy: Never
      args: [proxy, --address=0.0.0.0, --port=8001, "--accept-hosts=.*"]
---
apiVersion: v1
kind: Service
metadata: {{name: server}}
spec:
  selector: {{app: server}}
  ports: [{{port: 80, targetPort: 8001}}]
"""


def job(name: str, *arguments: str) -> str:
    return f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    spec:
      dnsPolicy: Default
      restartPolicy: Never
      serviceAccountName: viewer
      containers:
        - {{name: main, image: {IMAGE}, imagePullPolicy: Never, args: [{", ".join(arguments)}]}}
"""


def server_container(machine: Machine) -> dict[str, Any]:
    """The status of the one container of the pod `server`."""
    container: dict[str, Any] = machine.get("pod", "server")["status"]["containerStatuses"][0]
    return container


def images_named(machine: Machine, name: str) -> list[object]:
    """The images of that name that the node has, as its kubelet last reported them."""
    reported = machine.get("nodes")["items"][0]["status"].get("images") or []
    return [image for image in reported if name in image["names"]]


def logs_of_job(machine: Machine, name: str, *arguments: str) -> str:
    """Run a Job to its end and return what its pod printed."""
    machine.kubectl("apply", stdin=job(name, *arguments))
    machine.kubectl("wait", "--for=condition=complete", f"job/{name}", "--timeout=120s")
    return machine.kubectl("logs", f"job/{name}")


@pytest.fixture(scope="module")
def image_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("image") / "kubectl.tar"
    write_image_archive(archive, IMAGE, KUBERNETES.path("kubectl"), "version")
    return archive


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with everything installed, and no cluster."""
    if packages := debian.missing_packages():
        debian.install(packages)
    ensure_built(LOCAL_CLUSTER, Report())
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture(scope="module")
def before(machine: Machine) -> Traces:
    """What the machine was like before there ever was a cluster."""
    return machine.traces()


@pytest.fixture(scope="module")
def cluster(machine: Machine, before: Traces, image_archive: Path) -> Machine:
    """The machine with a cluster that runs a pod and its service. The last test takes it down."""
    machine.cluster("up")
    machine.cluster("load", image_archive)
    machine.kubectl("apply", stdin=WORKLOAD)
    machine.kubectl("wait", "--for=condition=ready", "pod/server", "--timeout=60s")
    return machine


def test_status_of_no_cluster_says_so(machine: Machine, before: Traces) -> None:
    done = machine.cluster("status", check=False)
    assert (done.returncode, done.stderr) == (1, "there is no local cluster; `hack/cluster up` makes one\n")


def test_down_of_no_cluster_is_harmless(machine: Machine, before: Traces) -> None:
    assert "no local cluster" in machine.cluster("down").stderr
    assert machine.traces() == before


def test_every_part_is_healthy(cluster: Machine) -> None:
    components = cluster.components()
    assert {*COMPONENTS, "network", "node"} == set(components)
    assert all(component["healthy"] for component in components.values()), components


def test_a_second_up_changes_nothing(cluster: Machine) -> None:
    before = cluster.components()
    cluster.cluster("up")
    assert cluster.components() == before


def test_two_ups_at_once_are_harmless(cluster: Machine) -> None:
    before = cluster.components()
    cluster.kill("kube-scheduler")
    both = [cluster.start_cluster("up") for _ in range(2)]
    assert [up.wait(timeout=120) for up in both] == [0, 0]
    after = cluster.components()
    assert after["kube-scheduler"]["healthy"]
    assert {name for name in after if after[name] != before[name]} == {"kube-scheduler"}


def test_a_job_runs_to_completion_and_reaches_the_api_server_with_its_token(cluster: Machine) -> None:
    assert re.search(
        r"^server\s+1/1\s+Running", logs_of_job(cluster, "in-cluster", "get", "pods"), re.MULTILINE
    )


def test_a_service_is_reached_from_another_pod(cluster: Machine) -> None:
    address = cluster.get("service", "server")["spec"]["clusterIP"]
    printed = logs_of_job(cluster, "by-service", "get", "--raw", "/version", f"--server=http://{address}")
    assert KUBERNETES.version in printed


def test_exec_reaches_into_a_pod(cluster: Machine) -> None:
    printed = cluster.kubectl("exec", "server", "--", "/kubectl", "version", "--client")
    assert KUBERNETES.version in printed


def test_port_forward_leads_to_a_pod(cluster: Machine) -> None:
    forward = cluster.start_cluster("kubectl", "port-forward", "pod/server", ":8001")
    try:
        assert forward.stdout is not None
        local_port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert local_port is not None
        url = f"http://127.0.0.1:{local_port[1]}"
        assert KUBERNETES.version in cluster.kubectl("get", "--raw", "/version", "--server", url)
    finally:
        forward.terminate()
        forward.communicate()


def test_a_node_takes_more_than_ten_pods_at_once(cluster: Machine) -> None:
    many = job("many", "version", "--client").replace("backoffLimit: 0", "completions: 12\n  parallelism: 12")
    cluster.kubectl("apply", stdin=many)
    cluster.kubectl("wait", "--for=condition=complete", "job/many", "--timeout=120s")
    assert cluster.get("job", "many")["status"]["succeeded"] == 12


def test_an_image_that_is_there_is_not_loaded_twice(cluster: Machine, image_archive: Path) -> None:
    cluster.cluster("load", image_archive)
    deadline = time.monotonic() + 120
    while not (images := images_named(cluster, IMAGE)):
        assert time.monotonic() < deadline, (
            "the kubelet reports its images some seconds later, but not the image"
        )
        time.sleep(1)
    assert len(images) == 1


def test_what_is_no_archive_is_refused_by_name(cluster: Machine, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    done = cluster.cluster("load", tmp_path / "notes.txt", check=False)
    assert done.returncode == 1
    assert "notes.txt is no image archive" in done.stderr


def test_strangers_are_refused_by_the_api_server_and_the_kubelet(cluster: Machine) -> None:
    for url in ("https://10.244.0.1:6443/api", "https://10.244.0.1:10250/pods"):
        done = cluster.run(
            "curl", "--silent", "--cacert", "/var/lib/qgjob-cluster/control-plane/pki/ca.crt", url
        )
        assert "Unauthorized" in done.stdout


@pytest.mark.parametrize("component", COMPONENTS)
def test_up_repairs_after_a_crash_of(component: str, cluster: Machine) -> None:
    before = cluster.components()
    cluster.kill(component)
    crashed = cluster.cluster("status", check=False)

    cluster.cluster("up")

    after = cluster.components()
    assert crashed.returncode == 1
    assert all(each["healthy"] for each in after.values()), after
    assert after[component]["pid"] != before[component]["pid"]
    server = server_container(cluster)
    assert (server["ready"], server["restartCount"]) == (True, 0), (
        "a crash of the cluster is none of its pods"
    )


def test_up_repairs_the_network(cluster: Machine) -> None:
    cluster.run("iptables", "--table", "nat", "--flush", "QGJOB-POSTROUTING")
    assert not cluster.components()["network"]["healthy"]
    cluster.cluster("up")
    assert cluster.components()["network"]["healthy"]


def test_up_after_a_power_cut_brings_back_what_ran(cluster: Machine) -> None:
    restarts = server_container(cluster)["restartCount"]
    cluster.pull_the_plug()
    cluster.boot()

    cluster.cluster("up")

    # What the API server says of the pod is of before the power cut, until its kubelet reports again.
    deadline = time.monotonic() + 120
    while not ((server := server_container(cluster))["ready"] and server["restartCount"] > restarts):
        assert time.monotonic() < deadline, server
        time.sleep(0.2)
    address = cluster.get("service", "server")["spec"]["clusterIP"]
    printed = logs_of_job(cluster, "after-boot", "get", "--raw", "/version", f"--server=http://{address}")
    assert KUBERNETES.version in printed


def test_down_leaves_nothing_behind(cluster: Machine, before: Traces) -> None:
    running = cluster.traces()
    assert len(running.processes) > len(COMPONENTS), "its pods' programs are seen too"
    assert {"mounts", "links", "rules", "cgroups", "files"} <= {
        kind for kind in vars(before) if getattr(running, kind) != getattr(before, kind)
    }, "there is something to clean up"

    cluster.cluster("down")

    assert cluster.traces() == before


def test_an_up_that_was_killed_midway_is_cleaned_up_by_down(machine: Machine, before: Traces) -> None:
    up = machine.start_cluster("up")
    assert up.stderr is not None
    for line in up.stderr:
        if "starting kube-apiserver" in line:
            break
    up.kill()
    up.communicate()

    machine.cluster("down")

    assert machine.traces() == before
