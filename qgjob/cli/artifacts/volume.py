"""Artifacts on a PersistentVolumeClaim, read through a pod of the user's own that lives as long as this command."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from qgjob.api.constants import RUNNER_ACCOUNT, TARGET_LABEL
from qgjob.cli.exits import CliError, Exit

from .base import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qgjob.cli.session import Session

Object = dict[str, Any]

_MOUNT: Final = "/artifacts"
_PORT: Final = 8080
#: It ends by itself, should this program be killed.
_LIFE_SECONDS: Final = 1800
_START_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 60.0
_USER: Final = 10001
#: Reasons of a waiting container that time does not mend.
_HOPELESS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
    }
)
#: What a target says of its pods that this pod needs too: where it can run, and how its image is pulled.
_PLACEMENT: Final = ("nodeSelector", "tolerations", "affinity", "imagePullSecrets", "runtimeClassName")


class VolumeReader:
    """Makes its pod when it is first asked for something."""

    def __init__(self, session: Session, target: Mapping[str, Any], root: str, image: str | None) -> None:
        self._session = session
        self._target = target
        self._root = root
        self._image = image
        self._word = secrets.token_urlsafe(24)
        self._pod = ""

    def files(self, key: str) -> list[StoredFile]:
        """One request."""
        self._start()
        found = self._get(f"list/{self._below(key)}")
        return [StoredFile(str(each["name"]), int(each["size"])) for each in found]

    def read(self, key: str, name: str) -> Iterator[bytes]:
        """One request."""
        from qgjob.client import ApiError

        self._start()
        try:
            with self._session.client.transport.stream(
                self._path(f"file/{self._below(key)}{name}"), timeout=_SILENCE_SECONDS
            ) as stream:
                yield from stream.pieces()
        except ApiError as error:
            raise CliError(f"{name} can't be read: {error.message}", Exit.INFRASTRUCTURE) from error

    def close(self) -> None:
        """Delete the pod."""
        from qgjob.client import ClientError

        pod, self._pod = self._pod, ""
        if not pod:
            return
        try:
            self._session.client.delete("pods", pod, api_version="v1")
        except ClientError as error:
            self._session.note(f"the pod {pod} could not be deleted ({error}); it ends by itself")

    def _below(self, key: str) -> str:
        return key.removeprefix(self._root)

    def _path(self, rest: str) -> str:
        client = self._session.client
        pod = client.path("pods", f"{self._pod}:{_PORT}", "proxy", api_version="v1")
        return f"{pod}/{self._word}/{rest}"

    def _get(self, rest: str) -> Any:
        return self._session.client.request("GET", self._path(rest), timeout=_SILENCE_SECONDS)

    def _start(self) -> None:
        if self._pod:
            return
        from qgjob.client import ApiError

        client = self._session.client
        body = self._manifest(self._image or self._known_image())
        try:
            client.create("pods", body, api_version="v1")
        except ApiError as error:
            if error.status != 403:
                raise
            raise CliError(
                f"these artifacts are on a volume, and reading it takes a pod: {error.message}",
                Exit.INFRASTRUCTURE,
            ) from error
        self._pod = str(body["metadata"]["name"])
        self._session.note(f"reading the volume through pod {self._pod}, which is deleted afterwards")
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        from qgjob.client import ApiError, Unreachable

        deadline = time.monotonic() + _START_SECONDS
        while True:
            pod = self._session.client.get("pods", self._pod, api_version="v1")
            why = _waits_for(pod)
            if not why:
                try:
                    self._get("list/none/")
                    return
                except (ApiError, Unreachable) as error:
                    why = str(error)
                    # The server answers that there is no such folder: it is there.
                    if isinstance(error, ApiError) and error.status == 404:
                        return
            if time.monotonic() > deadline:
                raise CliError(f"pod {self._pod} can't be used: {why}", Exit.INFRASTRUCTURE)
            time.sleep(_POLL_SECONDS)

    def _known_image(self) -> str:
        """The target's image, else that of one of its batches."""
        from qgjob.client import ApiError

        spec = self._target["spec"]
        if image := spec.get("image"):
            return str(image)
        selector = f"{TARGET_LABEL}={self._target['metadata']['name']}"
        with suppress(ApiError):
            jobs = list(self._session.client.list("jobs", api_version="batch/v1", label_selector=selector))
            for job in sorted(jobs, key=lambda job: job["metadata"]["creationTimestamp"], reverse=True):
                for container in job["spec"]["template"]["spec"]["containers"]:
                    if container["name"] == "runner":
                        return str(container["image"])
        raise CliError(
            "these artifacts are on a volume, and reading it takes a pod with the runner's image, which neither "
            "the target nor a batch of it tells: name it with --image"
        )

    def _manifest(self, image: str) -> Object:
        spec = self._target["spec"]
        template = (spec.get("podTemplate") or {}).get("spec") or {}
        claim = spec["artifacts"]["persistentVolumeClaim"]["claimName"]
        name = f"qgjob-artifacts-{secrets.token_hex(5)}"
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "qgjob-cli"}},
            "spec": {
                **{field: template[field] for field in _PLACEMENT if field in template},
                "serviceAccountName": template.get("serviceAccountName", RUNNER_ACCOUNT),
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "restartPolicy": "Never",
                "activeDeadlineSeconds": _LIFE_SECONDS,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": _USER,
                    "runAsGroup": _USER,
                    "fsGroup": _USER,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": {"type": "RuntimeDefault"},
                    **(template.get("securityContext") or {}),
                },
                "containers": [
                    {
                        "name": "reader",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python", "-m", "testrunner.artifacts.reader"],
                        "args": ["--folder", f"{_MOUNT}/{self._root}", "--word", self._word],
                        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [{"name": "artifacts", "mountPath": _MOUNT, "readOnly": True}],
                    }
                ],
                "volumes": [
                    {
                        "name": "artifacts",
                        "persistentVolumeClaim": {"claimName": claim, "readOnly": True},
                    }
                ],
            },
        }


def _waits_for(pod: Object) -> str:
    """Why the pod can't be asked yet; empty where it can. Raises CliError where it never will."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase in ("Failed", "Succeeded"):
        raise CliError(f"pod {name} has ended: {status.get('message') or phase}", Exit.INFRASTRUCTURE)
    for each in status.get("containerStatuses") or []:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            why = f"{waiting['reason']}: {waiting.get('message', '')}"
            raise CliError(f"pod {name} can't start: {why}", Exit.INFRASTRUCTURE)
    if phase == "Running":
        return ""
    for condition in status.get("conditions") or []:
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return f"it is {phase} still"
