"""Objects that are kept in git: what is changed or deleted by hand comes back with the next sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What Argo CD and Flux put on objects that they manage.
_ANNOTATIONS: Final = ("argocd.argoproj.io/tracking-id",)
_LABELS: Final = (
    "argocd.argoproj.io/instance",
    "app.kubernetes.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
)


def is_gitops(metadata: Mapping[str, Any]) -> bool:
    """Whether Argo CD or Flux manages an object with these metadata, as far as they show it."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return any(each in annotations for each in _ANNOTATIONS) or any(each in labels for each in _LABELS)
