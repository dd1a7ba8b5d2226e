"""What a user puts into the basket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appium.webdriver.common.appiumby import AppiumBy

if TYPE_CHECKING:
    from appium.webdriver import Remote


def test_the_basket_is_empty_until_something_is_added(app: Remote) -> None:
    app.find_element(AppiumBy.ID, "login").click()
    app.find_element(AppiumBy.ID, "open_basket").click()
    assert app.find_element(AppiumBy.XPATH, "//*[contains(@text, 'empty')]").is_displayed()

    app.find_element(AppiumBy.ID, "open_home").click()
    app.find_element(AppiumBy.ID, "open_catalogue").click()
    app.find_element(AppiumBy.ANDROID_UIAUTOMATOR, 'new UiSelector().text("Add Apples")').click()

    assert app.find_element(AppiumBy.ID, "basket_count").text == "In basket: 1"
