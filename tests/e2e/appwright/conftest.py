"""Real AppWright, Appium and adb on this machine, against a simulated phone. No cluster.

What is missing is installed: Debian's adb and aapt where this is root, the kit with npm into the cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from hack.localcluster.places import cache_directory
from testrunner.appwright import kit
from tests.e2e.appwright.support import Batch, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def kit_home() -> Path:
    missing = [tool for tool in ("adb", "aapt") if shutil.which(tool) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing], check=True)
    for tool in ("adb", "aapt", "node", "npm"):
        if shutil.which(tool) is None:
            pytest.fail(
                f"{tool} is not installed: the AppWright tests need adb, aapt, Node 20 or newer, and npm"
            )
    home = cache_directory() / "appwright-kit" / kit.fingerprint()
    home.mkdir(parents=True, exist_ok=True)
    return kit.set_up(home).home


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[SimulatedPhone]:
    with SimulatedPhone(tmp_path / "phone.log") as running:
        yield running


@pytest.fixture
def batch(
    phone: SimulatedPhone, kit_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Batch]]:
    """Makes a batch on the phone: `batch("1.4.0")`."""
    monkeypatch.setenv("QGJOB_APPWRIGHT_KIT", str(kit_home))
    made: list[Batch] = []

    def make(version: str, *, install_seconds: int = 60, **options: Any) -> Batch:
        folder = tmp_path / f"batch-{len(made)}"
        on = options.pop("phone", phone)
        made.append(Batch(on, version, folder, install_seconds=install_seconds, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
