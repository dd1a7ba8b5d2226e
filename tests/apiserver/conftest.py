"""A real etcd and kube-apiserver for every test in this folder: started once a run, in some seconds.

`apiserver` is the server, `namespace` a fresh namespace per test; ask for `controller_manager` too where a
test needs Jobs to make pods, owners to be followed, or a namespace's `default` service account. The first run
on a machine builds the programs, which takes minutes; `hack/cluster binaries` does the same beforehand.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from hack.localcluster.throwaway import ThrowawayControlPlane
from tests.apiserver.crds import install_crds
from tests.e2e.appwright.support import SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture(scope="session")
def adb() -> str:
    if shutil.which("adb") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", "adb"], check=True)
    found = shutil.which("adb")
    assert found, "adb is not installed: these tests talk to a phone by it"
    return found


@pytest.fixture
def phone(adb: str, tmp_path: Path) -> Iterator[SimulatedPhone]:
    with SimulatedPhone(tmp_path / "phone.log") as running:
        yield running
