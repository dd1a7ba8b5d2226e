"""A whole batch with real AppWright: what the runner writes to a real API server of it."""

from __future__ import annotations

import base64
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from hack.localcluster.throwaway import ThrowawayControlPlane
from hack.phone import apps
from tests.apiserver.crds import install_crds
from tests.apiserver.runner_support import World
from tests.e2e.appwright.support import SHOP, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = "shop"


@pytest.fixture
def world(
    kit_home: Path, phone: SimulatedPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A target with one phone, and the shop's tests, with one more that is no TypeScript."""
    monkeypatch.setenv("QGJOB_APPWRIGHT_KIT", str(kit_home))
    app = apps.package("1.4.0")
    assert app is not None
    (tmp_path / "1.4.0.apk").write_bytes(app)
    with ThrowawayControlPlane() as server:
        install_crds(server.client)
        server.client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        world = World(server.kubeconfig, NAMESPACE, tmp_path)
        files = {"metadata": {"name": "files"}, "binaryData": {"source.tar.gz": packed()}}
        world.client.create("configmaps", files, api_version="v1")
        world.target(
            driver={"name": "appwright"},
            provider={"devices": [{"name": "phone-1", "address": phone.address}]},
            app={"url": f"file://{tmp_path}/{{appVersionId}}.apk"},
            source={"configMap": {"name": "files"}},
        )
        yield world


def packed() -> str:
    text = b'import { test } from "appwright";\nconst a = ;\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(SHOP, arcname=".")
        broken = tarfile.TarInfo("tests/syntax.spec.ts")
        broken.size = len(text)
        tar.addfile(broken, io.BytesIO(text))
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_file_that_can_not_be_loaded_is_a_dead_letter_at_once_and_the_batch_goes_on(
    world: World, phone: SimulatedPhone
) -> None:
    jobs = [
        world.job(name, test=f"tests/{name}.spec.ts", appVersionId="1.4.0")
        for name in ("login", "syntax", "basket", "broken")
    ]
    world.run(world.batch(jobs, device={"name": "phone-1", "address": phone.address}))

    found = {job["metadata"]["name"]: world.status(job["metadata"]["name"]) for job in jobs}
    assert {name: (status["phase"], status.get("failures", 0)) for name, status in found.items()} == {
        "login": ("Succeeded", 0),
        "syntax": ("DeadLettered", 0),
        "basket": ("Succeeded", 0),
        "broken": ("Retrying", 1),
    }
    syntax = found["syntax"]
    assert (syntax["reason"], syntax["message"]) == (
        "SourceInvalid",
        "tests/syntax.spec.ts:2: SyntaxError: Unexpected token",
    )
    assert phone.installs() == 1
