"""What real adb makes of phones that refuse, as vendors word it: whose fault it is called, and what people read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from testrunner.devices.adb import Adb
from testrunner.drivers.base import InfrastructureError, SubmitterError
from testrunner.stop import StopToken
from tests.apiserver.fault_support import APP
from tests.unit.browserstack_support import package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.appwright.support import SimulatedPhone


@pytest.fixture
def device(adb: str, phone: SimulatedPhone) -> Iterator[Adb]:
    connected = Adb(phone.address, "pixel", environment=os.environ, log=lambda _: None)
    connected.connect(StopToken(), 10.0)
    yield connected
    connected.close()


def install(device: Adb, folder: Path) -> None:
    device.install(package(folder), APP, seconds=20.0, stop=StopToken())


def test_what_the_app_itself_is_refused_for_is_the_submitters_matter(
    device: Adb, phone: SimulatedPhone, tmp_path: Path
) -> None:
    for said in (
        "INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed collecting certificates for /data/app/vmdl9.tmp/base.apk",
        "INSTALL_PARSE_FAILED_MANIFEST_MALFORMED: Failed parse during installPackageLI: Targeting S+ (version 31)",
        "INSTALL_FAILED_OLDER_SDK: Failed parse during installPackageLI: Requires newer sdk version #35",
        "INSTALL_FAILED_DEPRECATED_SDK_VERSION: App package must target at least SDK version 23, but found 22",
        "INSTALL_FAILED_TEST_ONLY: installPackageLI",
    ):
        phone.fault(f"install:{said}")
        with pytest.raises(SubmitterError) as caught:
            install(device, tmp_path)
        assert said[:60] in caught.value.message
        assert caught.value.reason == "AppInvalid"


def test_all_that_another_phone_may_do_better_is_infrastructure(
    device: Adb, phone: SimulatedPhone, tmp_path: Path
) -> None:
    for said in (
        "INSTALL_FAILED_USER_RESTRICTED: Install canceled by user",
        "INSTALL_FAILED_VERIFICATION_FAILURE",
        "INSTALL_FAILED_INSUFFICIENT_STORAGE: Failed to override installation location",
        "INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package org.example.shop signatures do not match newer version",
        "INSTALL_FAILED_INTERNAL_ERROR: Permission Denied",
        "INSTALL_FAILED_REJECTED_BY_VENDOR: a word of a vendor's own",
        "-99",
    ):
        phone.fault(f"install:{said}")
        with pytest.raises(InfrastructureError) as caught:
            install(device, tmp_path)
        assert said[:60] in caught.value.message
        assert not caught.value.device_lost, "it answers"


def test_a_phone_without_its_package_service_says_so(
    device: Adb, phone: SimulatedPhone, tmp_path: Path
) -> None:
    phone.fault("no-packages")

    with pytest.raises(InfrastructureError, match="Can't find service: package"):
        install(device, tmp_path)


def test_a_phone_that_trusts_nobody_says_what_to_do(adb: str, phone: SimulatedPhone) -> None:
    phone.fault("unauthorized")
    stranger = Adb(phone.address, "pixel", environment=os.environ, log=lambda _: None)
    try:
        with pytest.raises(InfrastructureError, match=r"authenticate.*ADB_VENDOR_KEYS"):
            stranger.connect(StopToken(), 0.0)
    finally:
        stranger.close()


@pytest.mark.parametrize(("fault", "said"), [("none", ""), ("no-packages", "it was restarted")])
def test_a_phone_whose_system_begins_anew_is_not_the_same(
    device: Adb, phone: SimulatedPhone, fault: str, said: str
) -> None:
    device.remember_boot()
    phone.fault(fault)

    assert device.probe().startswith(said)
    assert bool(device.probe()) == bool(said)
