"""The results of TestJobs as one JUnit XML document, retries as Surefire and Jenkins have them. Pure.

A case that passes after failures has a `flakyFailure` (`flakyError` by infrastructure) for each; of one that fails for
good the first attempt's `failure` (`error`) counts, and the later ones are `rerunFailure` (`rerunError`).
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Kind = Literal["failure", "error"]

_CONTROL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_AGAIN: Final = {
    ("failure", True): "flakyFailure",
    ("error", True): "flakyError",
    ("failure", False): "rerunFailure",
    ("error", False): "rerunError",
}


class NotJUnit(ValueError):  # noqa: N818
    """A file is no JUnit report, or none that can be trusted."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a case did not pass."""

    kind: Kind
    message: str
    type: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case in one attempt."""

    name: str
    classname: str = ""
    #: Seconds.
    time: float = 0.0
    failure: Failure | None = None
    #: Why it was skipped; None where it was not.
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt: its cases as its own report has them, if there is one."""

    failure: Failure | None
    #: Seconds.
    time: float
    cases: Sequence[Case] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """One TestJob."""

    name: str
    #: Oldest first; empty where it never ran.
    runs: Sequence[Run]
    #: Set where it came to no result: why.
    skipped: str | None = None
    #: Set where it ended without passing: why.
    failure: Failure | None = None
    timestamp: str = ""
    hostname: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merged:
    """A case in all its attempts."""

    case: Case
    again: Sequence[Failure] = ()


def read(content: bytes) -> list[Case]:
    """The cases of a JUnit report, which a test wrote. Raises NotJUnit."""
    scan = expat.ParserCreate()
    # A report needs no entities of its own, and this is how small files become gigabytes.
    scan.EntityDeclHandler = _refuse_entities
    try:
        scan.Parse(content, True)
        root = ET.fromstring(content)  # noqa: S314 - it declares no entities
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise NotJUnit(str(error)) from error
    if root.tag not in ("testsuites", "testsuite"):
        raise NotJUnit(f"its root is {root.tag}")
    return [_case(element) for element in root.iter("testcase")]


def merge(suite: Suite) -> list[Merged]:
    """The suite's cases: those of its last attempt, with what went wrong in the earlier ones."""
    if suite.skipped is not None or not suite.runs:
        return [Merged(Case(suite.name, failure=suite.failure, skipped=suite.skipped))]
    *earlier, last = suite.runs
    cases = list(last.cases) or [Case(suite.name, time=last.time)]
    told = any(case.failure for case in last.cases)
    # An attempt that a report calls good may still have failed: at its timeout, or with its device.
    whole = None if told else (last.failure or suite.failure)
    merged = []
    for number, case in enumerate(cases):
        before = [failure for run in earlier if (failure := _failure_in(run, case, first=number == 0))]
        now = case.failure
        if not last.cases:
            now, whole = whole, None
        merged.append(_merged(case, now, before))
    if whole is not None:
        merged.append(_merged(Case(suite.name), whole, []))
    return merged


def document(suites: Iterable[Suite]) -> tuple[bytes, dict[str, int]]:
    """The XML, and how many tests, failures, errors, skipped and flaky cases are in it."""
    root = ET.Element("testsuites")
    total = dict.fromkeys(("tests", "failures", "errors", "skipped", "flaky"), 0)
    for suite in suites:
        counts = _add(root, suite)
        for word, count in counts.items():
            total[word] += count
    for word in ("tests", "failures", "errors", "skipped"):
        root.set(word, str(total[word]))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n", total


def _refuse_entities(*_: Any) -> None:
    raise ValueError("it declares entities")


def _case(element: ET.Element) -> Case:
    failure, skipped = None, None
    for child in element:
        if child.tag in ("failure", "error") and failure is None:
            message, kind = child.get("message", ""), child.get("type", "")
            text = child.text or ""
            first = next(iter(text.strip().splitlines()), "")
            failure = Failure("failure" if child.tag == "failure" else "error", message or first, kind, text)
        elif child.tag == "skipped":
            skipped = child.get("message", "")
    time = _seconds(element.get("time", "0"))
    return Case(element.get("name", ""), element.get("classname", ""), time, failure, skipped)


def _seconds(text: str) -> float:
    try:
        time = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return time if math.isfinite(time) else 0.0


def _failure_in(run: Run, case: Case, *, first: bool) -> Failure | None:
    """What went wrong with the case in an earlier attempt."""
    for other in run.cases:
        if (other.classname, other.name) == (case.classname, case.name) and other.failure:
            return other.failure
    # What has no case of its own (a lost device, a timeout) is told once.
    if first and run.failure and not any(other.failure for other in run.cases):
        return run.failure
    return None


def _merged(case: Case, now: Failure | None, before: Sequence[Failure]) -> Merged:
    if now is None:
        return Merged(_with(case, None), before)
    first, *later = [*before, now]
    return Merged(_with(case, first), later)


def _with(case: Case, failure: Failure | None) -> Case:
    return Case(case.name, case.classname, case.time, failure, case.skipped)


def _add(root: ET.Element, suite: Suite) -> dict[str, int]:
    element = ET.SubElement(root, "testsuite", name=_clean(suite.name))
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped", "flaky"), 0)
    if suite.properties:
        properties = ET.SubElement(element, "properties")
        for name, value in suite.properties.items():
            ET.SubElement(properties, "property", name=name, value=_clean(value))
    seconds = 0.0
    for merged in merge(suite):
        case = merged.case
        seconds += case.time
        counts["tests"] += 1
        node = ET.SubElement(
            element,
            "testcase",
            name=_clean(case.name),
            classname=_clean(case.classname or suite.name),
            time=f"{case.time:.3f}",
        )
        passed = case.failure is None
        if case.failure:
            counts["failures" if case.failure.kind == "failure" else "errors"] += 1
            _add_failure(node, case.failure.kind, case.failure)
        elif case.skipped is not None:
            counts["skipped"] += 1
            skipped = ET.SubElement(node, "skipped")
            if case.skipped:
                skipped.set("message", _clean(case.skipped))
        elif merged.again:
            counts["flaky"] += 1
        for failure in merged.again:
            _add_failure(node, _AGAIN[failure.kind, passed], failure)
    for word in ("tests", "failures", "errors", "skipped"):
        element.set(word, str(counts[word]))
    element.set("time", f"{seconds:.3f}")
    for name, value in (("timestamp", suite.timestamp), ("hostname", suite.hostname)):
        if value:
            element.set(name, _clean(value))
    return counts


def _add_failure(node: ET.Element, tag: str, failure: Failure) -> None:
    child = ET.SubElement(
        node, tag, message=_clean(failure.message), type=_clean(failure.type or failure.kind)
    )
    if failure.text.strip():
        if tag in ("failure", "error"):
            child.text = _clean(failure.text)
        else:
            ET.SubElement(child, "stackTrace").text = _clean(failure.text)


def _clean(text: str) -> str:
    """Without the characters that XML can't carry."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
