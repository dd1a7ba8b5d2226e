"""An operator that crashes right after a write, or that does not hear what became of one.

The operator talks through a proxy, which passes a write on, and then kills the operator or keeps the answer back:
in both cases the API server has acted, and the operator does not know.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from qgjob.api.constants import TEST_TARGETS
from testqueue.kube.paths import resource_of
from tests.apiserver.operator_support import (
    Fleet,
    OperatorProcess,
    batches,
    operating,
    phases,
    wait_for_phase,
)
from tests.apiserver.proxy import Proxy
from tests.apiserver.runner_support import World, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane
    from tests.apiserver.proxy import Request


@pytest.fixture
def world(crds: ThrowawayControlPlane, namespace: str, tmp_path: Path) -> World:
    return World(crds.kubeconfig, namespace, tmp_path)


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(world.kubeconfig, world.folder) as proxy:
        yield proxy


def test_an_operator_that_crashes_after_each_of_its_writes_in_turn_loses_nothing(
    world: World, proxy: Proxy
) -> None:
    world.target()
    names: list[str] = []
    survived = set()
    with Fleet(world) as fleet:
        for after in itertools.count(1):
            if {("POST", "testbatches"), ("PATCH", "testjobs"), ("POST", "jobs")} <= survived and after > 6:
                break
            names += [f"j{after:02}{letter}" for letter in "abc"]
            for name in names[-3:]:
                world.job(name)
            # A Lease of its own, so as not to wait for the dead one's.
            operator = OperatorProcess(world, "--lease-name", f"l{after}", kubeconfig=proxy.kubeconfig)
            crash = proxy.cut = Crash(operator, after=after % 8)
            eventually(
                lambda crash=crash: crash.kind or is_done(world), lambda operator=operator: operator.log
            )
            operator.kill()
            survived.add(crash.kind)
        with operating(world):
            wait_for_phase(world, "Succeeded")

    assert begun(fleet) == names


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/testbatches"),
        ("PATCH", "/testjobs/"),
        ("POST", "/jobs"),
        ("PATCH", "/testtargets/"),
        ("POST", "/serviceaccounts"),
    ],
)
def test_a_lost_answer_costs_neither_a_test_nor_a_second_batch(
    world: World, proxy: Proxy, method: str, path: str
) -> None:
    world.target(provider={"devices": [{"name": "pixel", "address": "127.0.0.1:1"}]})
    world.job("a")
    world.job("b")
    lost = proxy.cut = LoseOnce(method, path)

    with operating(world, kubeconfig=proxy.kubeconfig), Fleet(world) as fleet:
        wait_for_phase(world, "Succeeded")

    assert lost.done
    assert begun(fleet) == ["a", "b"]
    assert len(batches(world)) == 1


def test_a_device_that_was_leased_for_a_batch_that_never_came_is_used_again(
    world: World, proxy: Proxy
) -> None:
    world.target(
        provider={"devices": [{"name": "pixel", "address": "127.0.0.1:1"}]}, timeouts={"fenceSeconds": 1}
    )
    world.job("a")
    operator = OperatorProcess(world, "--lease-name", "first", kubeconfig=proxy.kubeconfig)
    proxy.cut = Crash(operator, after=1, path="/testtargets/sim/status", saying=b'"Busy"')
    eventually(lambda: operator.process.poll() is not None, lambda: operator.log)
    (device,) = world.client.get(TEST_TARGETS, "sim")["status"]["devices"]
    assert device["state"] == "Busy"
    assert not batches(world)

    with operating(world), Fleet(world):
        wait_for_phase(world, "Succeeded")


class Crash:
    """Kills the operator once the API server has accepted so many of its writes, Leases aside."""

    def __init__(self, operator: OperatorProcess, *, after: int, path: str = "", saying: bytes = b"") -> None:
        self._operator = operator
        self._left = after
        self._path = path
        self._saying = saying
        #: Method and resource of the write that it crashed after.
        self.kind: tuple[str, str] | tuple[()] = ()

    def __call__(self, request: Request) -> bool:
        if not request.is_write or "/leases" in request.path or request.status >= 300:
            return False
        if self._path not in request.path or self._saying not in request.body:
            return False
        self._left -= 1
        if self._left > 0:
            return False
        self._operator.kill()
        self.kind = request.method, resource_of(request.path).partition("/")[0]
        return True


class LoseOnce:
    """Keeps the answer to the first accepted write of a kind back."""

    def __init__(self, method: str, path: str) -> None:
        self._method = method
        self._path = path
        self.done = False

    def __call__(self, request: Request) -> bool:
        if self.done or request.method != self._method or self._path not in request.path:
            return False
        self.done = request.status < 300
        return self.done


def is_done(world: World) -> bool:
    return set(phases(world).values()) == {"Succeeded"}


def begun(fleet: Fleet) -> list[str]:
    """The TestJobs that runners have begun, once for each time."""
    return sorted(line.split()[2] for line in fleet.logs.splitlines() if line.startswith("::qgjob:: begin"))
