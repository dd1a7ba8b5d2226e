"""A running app: its screens, what the user did to them, and the data that it keeps.

An app is described by JSON: `data` (what is kept until the package manager clears it), `start` (the first rule
that holds names the first screen) and `screens`, each a list of elements::

    {"class": "Button", "text": "Add", "id": "add", "when": {"user": "ada"}, "add": {"basket": 1}, "goto": "basket"}

`class` is TextView, EditText, Button or a full name; `when` and `unless` show or hide an element by the app's data; a
tap carries out `set`, `add` and `goto`, and with `crash` (a text) ends the app.
Texts may hold `{name}` (data) and `{field.name|default}` (typed text).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

Node = dict[str, Any]
Data = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{(field\.)?(\w+)(?:\|([^}]*))?\}")
_WIDTH, _ROW = 1080, 120


class App:
    """One process of an app. `data` outlives it, what was typed and the current screen do not."""

    def __init__(self, package: str, description: dict[str, Any] | None, data: Data) -> None:
        self.package = package
        self._screens: dict[str, list[Node]] = (description or {}).get("screens") or {
            "main": [{"text": package}]
        }
        self.data = data
        for key, value in (description or {}).get("data", {}).items():
            data.setdefault(key, value)
        data["launches"] = data.get("launches", 0) + 1
        self.typed: dict[str, str] = {}
        self.focus = ""
        self._history: list[str] = []
        self.screen = self._first_screen((description or {}).get("start"))

    def nodes(self) -> list[Node]:
        """The elements that are on the screen now."""
        return [n for n in self._screens[self.screen] if self._holds(n)]

    def hierarchy(self) -> ET.Element:
        """The screen as UiAutomator dumps it: one row for each element."""
        root = ET.Element("hierarchy", {"class": "hierarchy", "rotation": "0"})
        for i, n in enumerate(self.nodes()):
            kind = widget_class(n)
            name = n.get("id", "")
            e = ET.SubElement(root, kind)
            e.attrib.update(
                {
                    "index": str(i),
                    "package": self.package,
                    "class": kind,
                    "text": self.text(n),
                    "content-desc": n.get("description", ""),
                    "resource-id": f"{self.package}:id/{name}" if name else "",
                    "clickable": str(kind.endswith(("Button", "EditText"))).lower(),
                    "enabled": "true",
                    "checkable": "false",
                    "checked": "false",
                    "selected": "false",
                    "scrollable": "false",
                    "displayed": "true",
                    "focused": str(bool(name) and name == self.focus).lower(),
                    "bounds": f"[0,{_ROW * i}][{_WIDTH},{_ROW * (i + 1)}]",
                }
            )
        return root

    def text(self, n: Node) -> str:
        """What an element says: typed text in a field, else its filled-in text."""
        name = n.get("id", "")
        return self.typed[name] if name in self.typed else self._filled(n.get("text", ""))

    def tap(self, n: Node) -> None:
        if widget_class(n).endswith("EditText"):
            self.focus = n.get("id", "")
        for key, value in n.get("set", {}).items():
            self.data[key] = self._filled(value) if isinstance(value, str) else value
        for key, value in n.get("add", {}).items():
            self.data[key] = self.data.get(key, 0) + value
        if n.get("goto"):
            self._history.append(self.screen)
            self.screen, self.focus = n["goto"], ""

    def node_at(self, y: float) -> Node | None:
        """What lies at this height, or None where nothing does."""
        nodes = self.nodes()
        row = int(y // _ROW)
        return nodes[row] if 0 <= row < len(nodes) else None

    def type(self, n: Node, text: str) -> None:
        """Adds to what stands in a field, as a keyboard does."""
        name = n.get("id", "")
        self.typed[name] = self.typed.get(name, "") + text
        self.focus = name

    def type_focused(self, text: str) -> None:
        if self.focus:
            self.typed[self.focus] = self.typed.get(self.focus, "") + text

    def clear(self, n: Node) -> None:
        self.typed.pop(n.get("id", ""), None)

    def back(self) -> None:
        if self._history:
            self.screen = self._history.pop()

    def _first_screen(self, rules: list[Node] | str | None) -> str:
        if isinstance(rules, str):
            return rules
        for rule in rules or []:
            if self._holds(rule):
                return str(rule["screen"])
        return next(iter(self._screens))

    def _holds(self, n: Node) -> bool:
        return all(self.data.get(k) == v for k, v in n.get("when", {}).items()) and not any(
            self.data.get(k) == v for k, v in n.get("unless", {}).items()
        )

    def _filled(self, text: str) -> str:
        def value(m: re.Match[str]) -> str:
            found = self.typed.get(m[2], "") if m[1] else str(self.data.get(m[2], ""))
            return found or m[3] or ""

        return _PLACEHOLDER.sub(value, text)


def widget_class(n: Node) -> str:
    """The full class name of an element's widget."""
    kind = str(n.get("class", "TextView"))
    return kind if "." in kind else f"android.widget.{kind}"
