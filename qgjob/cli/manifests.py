"""TestJobs from YAML or JSON text, as `submit -f` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgjob.api.constants import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]


def read(text: str, where: str) -> list[Object]:
    """Every TestJob of the text: documents, or items of a List. `where` names the text in errors.

    Raises:
        ValueError: no YAML, no TestJob, or something else than a TestJob.
    """
    import yaml

    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: no valid YAML: {' '.join(str(error).split())}") from error
    found = [job for document in documents if document is not None for job in _jobs(document, where)]
    if not found:
        raise ValueError(f"{where}: no TestJob in it")
    return found


def _jobs(document: Any, where: str) -> Iterator[Object]:
    if not isinstance(document, dict):
        raise ValueError(f"{where}: a document is no mapping: {str(document)[:60]!r}")
    kind = document.get("kind")
    if kind == "List":
        for item in document.get("items") or []:
            yield from _jobs(item, where)
        return
    if kind != "TestJob" or document.get("apiVersion") != API_VERSION:
        what = (
            " ".join(str(document[key]) for key in ("apiVersion", "kind") if key in document) or "a document"
        )
        raise ValueError(
            f"{where}: {what} is no {API_VERSION} TestJob: `kubectl apply -f` takes other resources"
        )
    if not isinstance(document.get("spec"), dict):
        raise ValueError(f"{where}: a TestJob has no spec")
    metadata = dict(document.get("metadata") or {})
    yield {
        "apiVersion": API_VERSION,
        "kind": "TestJob",
        "metadata": metadata,
        "spec": document["spec"],
    }
