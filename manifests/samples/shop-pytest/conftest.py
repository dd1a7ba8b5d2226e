"""One Appium session for each test. The app is installed and without data; the device is the batch's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from appium import webdriver
from appium.options.android import UiAutomator2Options
from appium.webdriver.client_config import AppiumClientConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longer than any command takes; without it, an Appium that hangs is waited for until the test's own time is over.
COMMAND_SECONDS = 120


@pytest.fixture
def app() -> Iterator[webdriver.Remote]:
    options = UiAutomator2Options()
    options.app_package = os.environ["QGJOB_APP_PACKAGE"]
    options.app_activity = ".MainActivity"
    client = AppiumClientConfig(remote_server_addr=os.environ["APPIUM_URL"], timeout=COMMAND_SECONDS)
    driver = webdriver.Remote(options=options, client_config=client)
    driver.implicitly_wait(5)
    yield driver
    driver.quit()
