"""TestJobs from YAML or JSON text, as `submit -f` reads them. Whatever is wrong is told at once, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgjob.api.constants import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A TestJob, and where it stands: 'many.yaml, document 3', 'list.json, item 2'."""

    where: str
    manifest: Object


def read(text: str, where: str) -> tuple[list[Document], list[str]]:
    """Every TestJob of the text (documents, or items of a List), and a line for each thing that is none.

    `where` names the text.
    """
    found: list[Document] = []
    problems: list[str] = []
    documents, broken = _load(text)
    several = len(documents) + bool(broken) > 1
    for number, document in enumerate(documents, start=1):
        if document is None:
            continue
        for place, each in _items(document, f"{where}, document {number}" if several else where):
            if problem := _problem(each):
                problems.append(f"{place}: {problem}")
            else:
                found.append(Document(place, _job(each)))
    if broken:
        place = f"{where}, document {len(documents) + 1}" if several else where
        problems.append(f"{place}: no valid YAML: {broken}")
    if not found and not problems:
        problems.append(f"{where}: no TestJob in it")
    return found, problems


def _load(text: str) -> tuple[list[Any], str]:
    """The documents up to the first that is no YAML, and what is wrong with that."""
    import yaml

    documents = []
    try:
        for document in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            documents.append(document)  # noqa: PERF402 - what came before an error counts
    except yaml.YAMLError as error:
        return documents, " ".join(str(error).split())
    return documents, ""


def _items(document: Any, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(document, dict) or document.get("kind") != "List":
        yield where, document
        return
    for number, item in enumerate(document.get("items") or [], start=1):
        yield from _items(item, f"{where}, item {number}")


def _problem(document: Any) -> str:
    """Why it is no TestJob that can be sent; empty where it is one."""
    if not isinstance(document, dict):
        return f"no mapping: {str(document)[:60]!r}"
    if document.get("kind") != "TestJob" or document.get("apiVersion") != API_VERSION:
        what = (
            " ".join(str(document[key]) for key in ("apiVersion", "kind") if key in document) or "a document"
        )
        return f"{what} is no {API_VERSION} TestJob: `kubectl apply -f` takes other resources"
    if not isinstance(document.get("spec"), dict):
        return "a TestJob has no spec"
    if not isinstance(document.get("metadata") or {}, dict):
        return "its metadata is no mapping"
    return ""


def _job(document: Object) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "TestJob",
        "metadata": dict(document.get("metadata") or {}),
        "spec": document["spec"],
    }
