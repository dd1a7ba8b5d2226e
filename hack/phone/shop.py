"""The sample app "Shop", in any version.

What differs from version to version, so that a test can tell which one is installed: `Version 1.4.0` on the
first and the home screen, and `Items: N` on the home screen, where N is the minor version (1.4.0 sells 4).
"""

from __future__ import annotations

import re
from typing import Any

PACKAGE = "org.example.shop"
UNINSTALLABLE = "-uninstallable"

_SEMVER = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_GOODS = ("Apples", "Bread", "Cheese", "Dates", "Eggs", "Figs", "Grapes", "Honey")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """(major, minor, patch) of a semantic version; None for anything else."""
    m = _SEMVER.fullmatch(text)
    return (int(m[1]), int(m[2]), int(m[3])) if m else None


def describe(version: str) -> dict[str, Any] | None:
    """The app's description for `apk.make`; None where `version` is no semantic version."""
    numbers = parse_version(version)
    if numbers is None:
        return None
    major, minor, patch = numbers
    return {
        "package": PACKAGE,
        "activity": f"{PACKAGE}.MainActivity",
        "label": "Shop",
        "permissions": ["android.permission.CAMERA"],
        "versionName": version,
        "versionCode": major * 1_000_000 + minor * 1_000 + patch,
        "data": {"user": "", "basket": 0, "orders": 0, "notifications": "off"},
        # A signed-in user stays signed in when the app starts again, until its data is cleared.
        "start": [{"unless": {"user": ""}, "screen": "home"}, {"screen": "login"}],
        "screens": {
            "login": [
                {"text": "Shop"},
                {"text": f"Version {version}", "id": "version"},
                {"class": "EditText", "id": "user", "description": "User name"},
                {"class": "EditText", "id": "password", "description": "Password"},
                {
                    "class": "Button",
                    "text": "Login",
                    "id": "login",
                    "set": {"user": "{field.user|guest}"},
                    "goto": "home",
                },
            ],
            "home": [
                {"text": "Welcome back", "id": "welcome"},
                {"text": "Signed in as {user}", "id": "account"},
                {"text": f"Items: {minor}", "id": "count"},
                {"text": f"Version {version}", "id": "version"},
                {"text": "Launches: {launches}", "id": "launches"},
                _button("Catalogue", "catalogue"),
                _button("Basket", "basket"),
                _button("Search", "search"),
                _button("Settings", "settings"),
                {
                    "class": "Button",
                    "text": "Log out",
                    "id": "logout",
                    "set": {"user": ""},
                    "goto": "login",
                },
            ],
            "catalogue": [
                {"text": "Catalogue"},
                *({"text": name, "id": f"product_{name.lower()}"} for name in goods(minor)),
                *(
                    {
                        "class": "Button",
                        "text": f"Add {name}",
                        "id": f"add_{name.lower()}",
                        "add": {"basket": 1},
                    }
                    for name in goods(minor)
                ),
                {"text": "In basket: {basket}", "id": "basket_count"},
                _button("Basket", "basket"),
                _button("Home", "home"),
            ],
            "basket": [
                {"text": "Your basket"},
                {"text": "The basket is empty", "when": {"basket": 0}},
                {"text": "In basket: {basket}", "id": "basket_count", "unless": {"basket": 0}},
                {
                    "class": "Button",
                    "text": "Check out",
                    "id": "checkout",
                    "unless": {"basket": 0},
                    "set": {"basket": 0},
                    "add": {"orders": 1},
                    "goto": "order",
                },
                _button("Home", "home"),
            ],
            "order": [
                {"text": "Thank you, {user}"},
                {"text": "Orders: {orders}", "id": "orders"},
                _button("Home", "home"),
            ],
            "search": [
                {"class": "EditText", "id": "query", "description": "Search"},
                {"class": "Button", "text": "Find", "id": "find", "goto": "results"},
                _button("Home", "home"),
            ],
            "results": [
                {"text": "Results for {field.query}", "id": "results"},
                _button("Home", "home"),
            ],
            "settings": [
                {"text": "Notifications: {notifications}", "id": "notifications"},
                {"class": "Button", "text": "Turn on", "set": {"notifications": "on"}},
                {"class": "Button", "text": "Turn off", "set": {"notifications": "off"}},
                _button("Home", "home"),
            ],
        },
    }


def goods(count: int) -> list[str]:
    """What the shop sells in a version with `count` items."""
    return [_GOODS[i] if i < len(_GOODS) else f"Product {i + 1}" for i in range(min(count, 50))]


def _button(text: str, screen: str) -> dict[str, Any]:
    return {"class": "Button", "text": text, "id": f"open_{screen}", "goto": screen}
