"""The running app: what it shows, keeps and forgets, and how elements are found."""

from __future__ import annotations

from typing import Any

import pytest

from hack.phone import selectors, shop
from hack.phone.app import App
from hack.phone.selectors import SelectorError


def start(data: dict[str, Any] | None = None) -> App:
    return App(shop.PACKAGE, shop.describe("1.4.0"), {} if data is None else data)


def texts(app: App) -> list[str]:
    return [app.text(node) for node in app.nodes()]


def tap(app: App, text: str) -> None:
    app.tap(next(node for node in app.nodes() if app.text(node) == text))


def field(app: App, name: str) -> dict[str, Any]:
    return next(node for node in app.nodes() if node.get("id") == name)


def test_logging_in_shows_the_home_screen() -> None:
    app = start()
    app.type(field(app, "user"), "ada")
    tap(app, "Login")

    assert {"Welcome back", "Signed in as ada", "Items: 4", "Launches: 1"} <= set(texts(app))


def test_a_second_start_keeps_data_and_forgets_what_was_typed() -> None:
    data: dict[str, Any] = {}
    first = start(data)
    first.type(field(first, "user"), "ada")
    tap(first, "Login")
    second = start(data)

    assert {"Signed in as ada", "Launches: 2"} <= set(texts(second))
    assert second.typed == {}


def test_elements_come_and_go_with_the_data() -> None:
    app = start({"user": "ada"})
    tap(app, "Basket")
    assert "The basket is empty" in texts(app)
    app.back()
    tap(app, "Catalogue")
    tap(app, "Add Apples")
    tap(app, "Basket")

    assert "In basket: 1" in texts(app)
    assert "The basket is empty" not in texts(app)


@pytest.mark.parametrize(
    ("strategy", "selector"),
    [
        ("-android uiautomator", 'textContains("Log")'),
        ("-android uiautomator", 'new UiSelector().text("Login").className("android.widget.Button")'),
        ("-android uiautomator", 'resourceIdMatches("login")'),
        ("-android uiautomator", 'resourceId("org.example.shop:id/login");'),
        ("xpath", '//android.widget.Button[@text="Login"]'),
        ("xpath", "//*[contains(@text,'Log') and @clickable='true']"),
        ("xpath", "(//android.widget.Button)[1]"),
        ("id", "login"),
        ("id", "org.example.shop:id/login"),
    ],
)
def test_ways_to_find_the_login_button(strategy: str, selector: str) -> None:
    app = start()
    found = selectors.find(app.hierarchy(), strategy, selector)

    assert [texts(app)[i] for i in found] == ["Login"]


@pytest.mark.parametrize(
    ("strategy", "selector"),
    [("-android uiautomator", "text(Login"), ("xpath", "count(//*)"), ("css selector", "button")],
)
def test_selectors_that_are_not_understood_say_so(strategy: str, selector: str) -> None:
    with pytest.raises(SelectorError):
        selectors.find(start().hierarchy(), strategy, selector)
