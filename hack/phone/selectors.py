"""Finds elements the ways that UiAutomator2 does: UiSelector chains, XPath, id, class, accessibility id."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

Test = Callable[[ET.Element], bool]

_CALL = re.compile(r"\.?\s*(\w+)\(\s*(?:\"((?:[^\"\\]|\\.)*)\"|(\w+))\s*\)")
_XPATH = re.compile(r"(?:/hierarchy)?//?(?P<tag>[\w.*]+)(?P<predicates>(?:\[[^\]]*\])*)")
_XPATH_NTH = re.compile(r"\((?P<path>.+)\)\[(?P<number>[1-9]\d*)\]")
_COMPARISON = re.compile(r"@([\w-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_FUNCTION = re.compile(r"(contains|starts-with)\(\s*@([\w-]+)\s*,\s*(?:\"([^\"]*)\"|'([^']*)')\s*\)")


class SelectorError(ValueError):
    """The selector is malformed, or uses what is not simulated."""


def find(root: ET.Element, strategy: str, selector: str) -> list[int]:
    """The indexes, in the order of the screen, of the elements that match.

    Raises SelectorError.
    """
    elements = list(root)
    if strategy == "xpath":
        return _xpath(elements, selector)
    if strategy == "-android uiautomator":
        tests = _ui_selector(selector)
    elif strategy == "id":
        tests = [
            lambda e: e.get("resource-id") == selector or e.get("resource-id", "").endswith(f":id/{selector}")
        ]
    elif strategy == "class name":
        tests = [lambda e: e.get("class") == selector]
    elif strategy == "accessibility id":
        tests = [lambda e: e.get("content-desc") == selector]
    else:
        raise SelectorError(f"the simulated phone has no strategy {strategy!r}")
    return [i for i, e in enumerate(elements) if all(t(e) for t in tests)]


def _ui_selector(text: str) -> list[Test]:
    chain = text.strip().removesuffix(";").removeprefix("new UiSelector()")
    tests, at = [], 0
    for m in _CALL.finditer(chain):
        if m.start() != at:
            break
        at = m.end()
        quoted = re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None else None
        tests.append(_ui_test(m[1], quoted if quoted is not None else m[3]))
    if not tests or chain[at:].strip():
        raise SelectorError(f"could not parse UiSelector argument: {text}")
    return tests


def _ui_test(method: str, argument: str) -> Test:
    equal = {"text": "text", "resourceId": "resource-id", "className": "class", "description": "content-desc"}
    contains = {"textContains": "text", "descriptionContains": "content-desc"}
    starts = {"textStartsWith": "text", "descriptionStartsWith": "content-desc"}
    # UiAutomator matches a pattern against the whole value; AppWright's getById("user") counts on finding a part,
    # which holds for apps whose ids are bare names. Searching serves both kinds.
    matches = {
        "textMatches": "text",
        "resourceIdMatches": "resource-id",
        "descriptionMatches": "content-desc",
    }
    flags = {"clickable", "enabled", "focused"}
    if method in equal:
        return _attribute(equal[method], lambda value: value == argument)
    if method in contains:
        return _attribute(contains[method], lambda value: argument.lower() in value.lower())
    if method in starts:
        return _attribute(starts[method], lambda value: value.lower().startswith(argument.lower()))
    if method in matches:
        try:
            pattern = re.compile(argument)
        except re.error as e:
            raise SelectorError(f"{method}: not a regular expression: {e}") from e
        return _attribute(matches[method], lambda value: bool(pattern.search(value)))
    if method in flags:
        return lambda e: e.get(method) == argument
    if method == "index":
        return lambda e: e.get("index") == argument
    raise SelectorError(f"the simulated phone does not know UiSelector.{method}()")


def _attribute(key: str, holds: Callable[[str], bool]) -> Test:
    return lambda e: holds(e.get(key, ""))


def _xpath(elements: list[ET.Element], path: str) -> list[int]:
    if m := _XPATH_NTH.fullmatch(path.strip()):
        number = int(m["number"])
        return _xpath(elements, m["path"])[number - 1 : number]
    m = _XPATH.fullmatch(path.strip())
    if not m:
        raise SelectorError(f"the simulated phone understands XPath like //tag[@text='x'], not {path}")
    found = [i for i, e in enumerate(elements) if m["tag"] in ("*", e.tag)]
    for predicate in re.findall(r"\[([^\]]*)\]", m["predicates"]):
        if predicate.isdigit():
            found = found[int(predicate) - 1 : int(predicate)]
            continue
        tests = [_xpath_test(part, path) for part in re.split(r"\s+and\s+", predicate.strip())]
        found = [i for i in found if all(t(elements[i]) for t in tests)]
    return found


def _xpath_test(part: str, path: str) -> Test:
    if m := _COMPARISON.fullmatch(part.strip()):
        key, value = m[1], m[2] if m[2] is not None else m[3]
        return lambda e: e.get(key) == value
    if m := _FUNCTION.fullmatch(part.strip()):
        how, key, value = m[1], m[2], m[3] if m[3] is not None else m[4]
        if how == "contains":
            return lambda e: value in e.get(key, "")
        return lambda e: e.get(key, "").startswith(value)
    raise SelectorError(f"the simulated phone can't evaluate [{part}] in {path}")
