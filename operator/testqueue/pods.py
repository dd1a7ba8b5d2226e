"""The Kubernetes Job of a batch, and the one pod that it makes. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qgjob.api.constants import API_VERSION, BATCH_LABEL, GROUP, RUNNER_ACCOUNT, TARGET_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]

CONTAINER: Final = "runner"
WORKDIR: Final = "/work"
USER: Final = 10001
GRACE_SECONDS: Final = 60
NEVER_SERVES: Final = f"{GROUP}/never-serves"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "qgjob"

#: Beyond its own timeouts, which the runner obeys itself, a pod gets so long before Kubernetes ends it.
_DEADLINE_MARGIN_SECONDS: Final = 2 * GRACE_SECONDS
#: What tells the entries of a list apart, as in Kubernetes' own strategic merge; other lists are replaced.
_LIST_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


@dataclass(frozen=True, slots=True)
class Images:
    """The runner's images, where the target names none."""

    default: str
    appwright: str

    def of(self, target_spec: Mapping[str, Any]) -> str:
        """The image of a target's runner."""
        if image := target_spec.get("image"):
            return str(image)
        driver = (target_spec.get("driver") or {}).get("name", "appwright")
        return self.appwright if driver == "appwright" else self.default


def build_job(
    *,
    namespace: str,
    batch: str,
    batch_uid: str,
    target: str,
    target_spec: Mapping[str, Any],
    images: Images,
) -> Object:
    """The Job that runs a batch once: no retries of its own, owned by its TestBatch and gone with it.

    `target_spec` is the TestTarget's spec as the API server returns it; its podTemplate has the last word on
    all but our own labels and the restart policy.
    """
    labels = {BATCH_LABEL: batch, TARGET_LABEL: target, MANAGED_BY_LABEL: MANAGER}
    # A copy: the target's spec is the cache's, and must not gain this batch's labels.
    own = copy.deepcopy(target_spec.get("podTemplate") or {})
    template = merge(_template(namespace, batch, images.of(target_spec)), own)
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": batch,
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "TestBatch",
                    "name": batch,
                    "uid": batch_uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": _deadline(target_spec),
            "template": template,
        },
    }


def merge(base: Object, over: Mapping[str, Any]) -> Object:
    """`base` with `over` merged in: objects by key, known lists by their entries' names, null removes."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(old, dict):
            merged[key] = merge(old, value)
        elif isinstance(value, list) and isinstance(old, list) and key in _LIST_KEYS:
            merged[key] = _merge_list(old, value, _LIST_KEYS[key])
        else:
            merged[key] = value
    return merged


def _merge_list(base: list[Any], over: list[Any], key: str) -> list[Any]:
    entries = {entry[key]: entry for entry in base}
    for entry in over:
        name = entry.get(key)
        entries[name] = merge(entries[name], entry) if name in entries else entry
    return list(entries.values())


def _template(namespace: str, batch: str, image: str) -> Object:
    return {
        "spec": {
            "serviceAccountName": RUNNER_ACCOUNT,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "enableServiceLinks": False,
            # Nobody ever sets it, so the pod never counts as ready to serve, which it isn't: its Job's status would
            # be written twice more, when the pod becomes ready and when it ends.
            "readinessGates": [{"conditionType": NEVER_SERVES}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["--batch", f"{namespace}/{batch}"],
                    "env": [
                        _from_field("POD_NAME", "metadata.name"),
                        _from_field("POD_UID", "metadata.uid"),
                        _from_field("POD_NAMESPACE", "metadata.namespace"),
                        _from_field("NODE_NAME", "spec.nodeName"),
                        {"name": "QGJOB_WORKDIR", "value": WORKDIR},
                    ],
                    "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "work", "mountPath": WORKDIR}],
                }
            ],
            "volumes": [{"name": "work", "emptyDir": {}}],
        },
    }


def _from_field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _deadline(target_spec: Mapping[str, Any]) -> int:
    timeouts = target_spec.get("timeouts") or {}
    return int(
        timeouts.get("startSeconds", 300)
        + timeouts.get("installSeconds", 300)
        + timeouts.get("batchSeconds", 7200)
        + _DEADLINE_MARGIN_SECONDS
    )
