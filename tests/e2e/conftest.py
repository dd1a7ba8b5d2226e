"""qgjob on a real node: the cluster of hack/cluster, with the operator deployed as `make deploy` does it.

`cluster` is that, `namespace` a fresh namespace of it, `queue` what a person does there with `qgjob` and kubectl,
`phones` two simulated phones with a TestTarget. Whatever is missing is brought up first, which takes minutes on a
new machine; `make deploy` does the same beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hack.demonstration.phones import Phones
from hack.deployment import Access, deploy
from hack.localcluster.choice import Wish
from hack.localcluster.report import Report
from tests.e2e.support import Queue, fresh_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hack.imagebuild.images import Image


@dataclass(frozen=True)
class Cluster:
    """A cluster with the operator in it."""

    access: Access
    images: list[Image]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    access, images = deploy(Report(), Wish.of(None, None, None), extra_images=("phone",))
    return Cluster(access, images)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that no other test uses."""
    with fresh_namespace(cluster.access) as name:
        yield name


@pytest.fixture
def queue(cluster: Cluster, namespace: str) -> Queue:
    return Queue(cluster.access, namespace)


@pytest.fixture
def phones(cluster: Cluster, namespace: str) -> Phones:
    return Phones.install(cluster.access, namespace, cluster.images)
