"""A user signs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appium.webdriver.common.appiumby import AppiumBy

if TYPE_CHECKING:
    from appium.webdriver import Remote


def test_a_user_who_signs_in_is_greeted(app: Remote) -> None:
    app.find_element(AppiumBy.ACCESSIBILITY_ID, "User name").send_keys("ada")
    app.find_element(AppiumBy.ACCESSIBILITY_ID, "Password").send_keys("lovelace")
    app.find_element(AppiumBy.ID, "login").click()

    assert app.find_element(AppiumBy.ID, "welcome").text == "Welcome back"
    assert app.find_element(AppiumBy.ID, "account").text == "Signed in as ada"


def test_nobody_is_signed_in_at_first(app: Remote) -> None:
    assert app.find_element(AppiumBy.XPATH, "//android.widget.Button[@text='Login']").is_displayed()
