"""The Kubernetes Job of a batch, and the one pod that it makes. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qgjob.api.constants import API_VERSION, BATCH_LABEL, GROUP, RUNNER_ACCOUNT, TARGET_LABEL
from qgjob.api.credentials import (
    ARTIFACTS_FOLDER,
    CACHE_FOLDER,
    COURIER_VARIABLE,
    SECRETS_FOLDER,
    artifacts_claim,
    needs_courier,
    secret_files,
)
from qgjob.api.providers import EMULATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]

#: The names of the pod's containers, by which a target's podTemplate adds to them; the last two are native sidecars.
CONTAINER: Final = "runner"
COURIER: Final = "courier"
WORKDIR: Final = "/work"
USER: Final = 10001
GRACE_SECONDS: Final = 60
_SOCKET_FOLDER: Final = "/var/run/qgjob/courier"
#: The runner's and the courier's user. An emulator's image has its own.
_USER: Final = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER}
_NO_PRIVILEGES: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
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


class PodTemplateError(ValueError):
    """A target's podTemplate is no pod's template. The text says where, for people."""


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
    all but our own labels and the restart policy. Raises PodTemplateError.
    """
    labels = {BATCH_LABEL: batch, TARGET_LABEL: target, MANAGED_BY_LABEL: MANAGER}
    # A copy: the target's spec is the cache's, and must not gain this batch's labels.
    own = copy.deepcopy(target_spec.get("podTemplate") or {})
    _check_template(own)
    template = merge(_template(namespace, batch, target_spec, images), own)
    _give_courier_the_runners_image(template, own)
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


def _check_template(own: Mapping[str, Any]) -> None:
    """What merging relies on; all else is the API server's to refuse, in its own words."""
    for path in ("metadata", "metadata.labels", "spec"):
        found: Any = own
        for key in path.split("."):
            found = (found or {}).get(key)
        if found is not None and not isinstance(found, dict):
            raise PodTemplateError(f"the TestTarget's podTemplate.{path} must be an object")
    spec = own.get("spec") or {}
    if "containers" in spec and spec["containers"] is None:
        raise PodTemplateError(
            f"the TestTarget's podTemplate.spec.containers is null: it can't take the container {CONTAINER} away"
        )
    _check_lists(spec, "podTemplate.spec")


def _check_lists(value: Mapping[str, Any], path: str) -> None:
    for key, name in _LIST_KEYS.items():
        entries = value.get(key)
        if entries is None:
            continue
        ok = isinstance(entries, list) and all(
            isinstance(entry, dict) and isinstance(entry.get(name), str) for entry in entries
        )
        if not ok:
            raise PodTemplateError(
                f"the TestTarget's {path}.{key} must be a list of objects, each with a {name}"
            )
        for entry in entries:
            _check_lists(entry, f"{path}.{key}[{entry[name]}]")


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


def _template(namespace: str, batch: str, target_spec: Mapping[str, Any], images: Images) -> Object:
    image, arguments = images.of(target_spec), ["--batch", f"{namespace}/{batch}"]
    sidecars, emulator = _sidecars(target_spec, image, arguments), _emulator(target_spec)
    # Where an emulator's image runs as another user, what holds for the pod is said of each other container.
    user = _USER if emulator is None else {}
    own_user = {} if emulator is None else _USER
    for container in sidecars:
        container["securityContext"] = {**own_user, **_NO_PRIVILEGES}
    spec = {
        "serviceAccountName": RUNNER_ACCOUNT,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "enableServiceLinks": False,
        # Nobody ever sets it, so the pod never counts as ready to serve, which it isn't: its Job's status would
        # be written twice more, when the pod becomes ready and when it ends.
        "readinessGates": [{"conditionType": NEVER_SERVES}],
        "securityContext": {
            **user,
            "fsGroup": USER,
            # Else the kubelet changes the owner of every file of a cache or of artifacts before each start.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": arguments,
                "env": _runner_env(target_spec),
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                "securityContext": {**own_user, **_NO_PRIVILEGES},
                "volumeMounts": _runner_mounts(target_spec),
            }
        ],
        "volumes": _volumes(target_spec),
    }
    if emulator is not None:
        sidecars.append(emulator)
    if sidecars:
        spec["initContainers"] = sidecars
    return {"spec": spec}


def _runner_env(target_spec: Mapping[str, Any]) -> list[Object]:
    env = [
        _from_field("POD_NAME", "metadata.name"),
        _from_field("POD_UID", "metadata.uid"),
        _from_field("POD_NAMESPACE", "metadata.namespace"),
        _from_field("NODE_NAME", "spec.nodeName"),
        {"name": "QGJOB_WORKDIR", "value": WORKDIR},
    ]
    if needs_courier(target_spec):
        env.append({"name": COURIER_VARIABLE, "value": f"{_SOCKET_FOLDER}/socket"})
    ours = {each["name"] for each in env}
    secret = [
        _from_secret(each["name"], each["secret"], each["key"])
        for each in target_spec.get("secretEnv") or ()
        if each["name"] not in ours
    ]
    return [*env, *secret, *_cloud_env(target_spec)]


def _cloud_env(target_spec: Mapping[str, Any]) -> list[Object]:
    """Under the names that BrowserStack's own SDKs look for, AppWright among them: its tests need them."""
    cloud = (target_spec.get("provider") or {}).get("browserstack")
    if not cloud:
        return []
    secret = cloud["credentialsSecret"]
    return [
        _from_secret("BROWSERSTACK_USERNAME", secret, "username"),
        _from_secret("BROWSERSTACK_ACCESS_KEY", secret, "accessKey"),
    ]


def _runner_mounts(target_spec: Mapping[str, Any]) -> list[Object]:
    mounts: list[Object] = [{"name": "work", "mountPath": WORKDIR}]
    if needs_courier(target_spec):
        # It can be talked to, but neither removed nor replaced.
        mounts.append({"name": COURIER, "mountPath": _SOCKET_FOLDER, "readOnly": True})
    if target_spec.get("cache"):
        mounts.append({"name": "cache", "mountPath": CACHE_FOLDER})
    return mounts


def _sidecars(target_spec: Mapping[str, Any], image: str, arguments: list[str]) -> list[Object]:
    """The courier, where there is something that tests must not reach: see testrunner.courier."""
    if not needs_courier(target_spec):
        return []
    mounts: list[Object] = [
        {"name": "work", "mountPath": WORKDIR},
        {"name": COURIER, "mountPath": _SOCKET_FOLDER},
        *(
            {"name": f"secret-{purpose}", "mountPath": f"{SECRETS_FOLDER}/{purpose}", "readOnly": True}
            for purpose in secret_files(target_spec)
        ),
    ]
    if artifacts_claim(target_spec):
        mounts.append({"name": "artifacts", "mountPath": ARTIFACTS_FOLDER})
    if target_spec.get("cache"):
        mounts.append({"name": "cache", "mountPath": CACHE_FOLDER})
    return [
        {
            "name": COURIER,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "restartPolicy": "Always",
            "command": ["python", "-m", "testrunner.courier"],
            "args": arguments,
            "env": [
                {"name": "QGJOB_WORKDIR", "value": WORKDIR},
                {"name": COURIER_VARIABLE, "value": f"{_SOCKET_FOLDER}/socket"},
                *_cloud_env(target_spec),
            ],
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            "volumeMounts": mounts,
        }
    ]


def _emulator(target_spec: Mapping[str, Any]) -> Object | None:
    wanted = (target_spec.get("provider") or {}).get("emulator")
    if not wanted:
        return None
    container: Object = {
        "name": EMULATOR,
        "image": wanted["image"],
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "env": [dict(each) for each in wanted.get("env") or ()],
        "resources": wanted.get("resources") or {},
    }
    if wanted.get("privileged"):
        container["securityContext"] = {"privileged": True, "runAsNonRoot": False}
    return container


def _volumes(target_spec: Mapping[str, Any]) -> list[Object]:
    volumes: list[Object] = [{"name": "work", "emptyDir": {}}]
    if needs_courier(target_spec):
        volumes.append({"name": COURIER, "emptyDir": {}})
    volumes += [
        # Not optional: the kubelet says which one is missing, and starts the pod when it is there.
        {"name": f"secret-{purpose}", "secret": {"secretName": secret, "defaultMode": 0o440}}
        for purpose, secret in secret_files(target_spec).items()
    ]
    if claim := artifacts_claim(target_spec):
        volumes.append({"name": "artifacts", "persistentVolumeClaim": {"claimName": claim}})
    if cache := target_spec.get("cache"):
        volumes.append({**cache["volume"], "name": "cache"})
    return volumes


def _give_courier_the_runners_image(template: Object, own: Mapping[str, Any]) -> None:
    """A podTemplate that changes the runner's image means the program in it, which is the courier's as well."""
    named = {each.get("name"): each for each in (own.get("spec") or {}).get("initContainers") or ()}
    runner = next(each for each in template["spec"]["containers"] if each["name"] == CONTAINER)
    for sidecar in template["spec"].get("initContainers") or ():
        if sidecar["name"] == COURIER and "image" not in named.get(COURIER, {}):
            sidecar["image"] = runner["image"]


def _from_field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _from_secret(name: str, secret: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _deadline(target_spec: Mapping[str, Any]) -> int:
    timeouts = target_spec.get("timeouts") or {}
    return int(
        timeouts.get("startSeconds", 300)
        + timeouts.get("installSeconds", 300)
        + timeouts.get("batchSeconds", 7200)
        + _DEADLINE_MARGIN_SECONDS
    )
