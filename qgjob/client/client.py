"""Kubernetes' REST verbs over plain dictionaries: what the CLI and the runner need, and no more."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, Literal

from qgjob import __version__
from qgjob.api.constants import API_VERSION

from . import config as configuration
from .errors import ApiError, Unreachable
from .transport import Stream, Transport, not_kubernetes, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
PatchKind = Literal["json", "merge", "apply", "strategic"]

_PATCH_TYPES: Final[dict[str, str]] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    # JSON is YAML, so the type that says YAML is served well by it.
    "apply": "application/apply-patch+yaml",
    "strategic": "application/strategic-merge-patch+json",  # built-in resources only
}


class Watch:
    """The events of a watch as (type, object). `close` may be called from another thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        for line in self._stream:
            try:
                event = json.loads(line)
                kind, changed = event["type"], event["object"]
            except (ValueError, KeyError, TypeError) as error:
                self._stream.close()
                where = self._stream.server
                if not line.endswith(b"\n"):
                    raise Unreachable(f"the connection to {where} broke in the middle of a line") from error
                raise not_kubernetes(where, quoted(line)) from error
            if kind == "ERROR":
                self._stream.close()
                raise ApiError.from_status(changed)
            yield kind, changed

    def close(self) -> None:
        """End the iteration."""
        self._stream.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """One API server, one default namespace. Thread-safe.

    Every method takes the resource's plural; `api_version` is qgjob's own unless given ("v1" for ConfigMaps
    and pods, "batch/v1" for Jobs). `timeout` is in seconds, for each wait on the network.

    All raise `ApiError` where the server refuses and `Unreachable` where it doesn't answer.
    """

    def __init__(
        self, config: configuration.ServerConfig, *, namespace: str | None = None, timeout: float = 30.0
    ) -> None:
        self.server = config.server
        self.context = config.context
        self.namespace = namespace or config.namespace
        self.timeout = timeout
        self.transport = Transport(config, user_agent=f"qgjob/{__version__}")

    @classmethod
    def from_kubeconfig(
        cls, path: str | None = None, context: str | None = None, namespace: str | None = None
    ) -> Client:
        """By a kubeconfig: the file named, else KUBECONFIG, else ~/.kube/config."""
        return cls(configuration.from_kubeconfig(path, context), namespace=namespace)

    @classmethod
    def in_cluster(cls, namespace: str | None = None) -> Client:
        """By the pod's service account; its token is read again as it is renewed."""
        return cls(configuration.in_cluster(), namespace=namespace)

    @classmethod
    def load(
        cls, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None
    ) -> Client:
        """What is named (arguments, then KUBECONFIG), else the pod's account, else ~/.kube/config."""
        named = kubeconfig or context or os.environ.get("KUBECONFIG")
        if not named and configuration.is_in_cluster():
            return cls.in_cluster(namespace)
        return cls.from_kubeconfig(kubeconfig, context, namespace)

    def get(
        self,
        plural: str,
        name: str,
        *,
        namespace: str | None = None,
        api_version: str = API_VERSION,
        timeout: float | None = None,
        retries: int = 0,
    ) -> Object:
        """One object, from etcd (not from a cache of the server)."""
        path = self.path(plural, name, namespace=namespace, api_version=api_version)
        return self._object("GET", path, timeout=timeout, retries=retries)

    def list_page(
        self,
        plural: str,
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        field_selector: str = "",
        label_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
        api_version: str = API_VERSION,
        timeout: float | None = None,
        retries: int = 0,
    ) -> Object:
        """One page as the server sends it: `items`, and in `metadata` its resourceVersion and `continue`."""
        path = self.path(plural, namespace=namespace, all_namespaces=all_namespaces, api_version=api_version)
        query = {
            "fieldSelector": field_selector,
            "labelSelector": label_selector,
            "limit": limit,
            "continue": continue_token,
        }
        return self._object("GET", path, query=query, timeout=timeout, retries=retries)

    def list(
        self,
        plural: str,
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        field_selector: str = "",
        label_selector: str = "",
        limit: int = 500,
        api_version: str = API_VERSION,
        timeout: float | None = None,
        retries: int = 0,
    ) -> Iterator[Object]:
        """All objects, read in pages of `limit`."""
        token = ""
        while True:
            page = self.list_page(
                plural,
                namespace=namespace,
                all_namespaces=all_namespaces,
                field_selector=field_selector,
                label_selector=label_selector,
                limit=limit,
                continue_token=token,
                api_version=api_version,
                timeout=timeout,
                retries=retries,
            )
            yield from page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    def create(
        self,
        plural: str,
        body: Object,
        *,
        namespace: str | None = None,
        api_version: str = API_VERSION,
        dry_run: bool = False,
        field_validation: str = "",
        timeout: float | None = None,
    ) -> Object:
        """POST. An existing name is an ApiError whose `is_already_exists` is true.

        `field_validation="Strict"` refuses unknown fields instead of dropping them.
        """
        path = self.path(plural, namespace=namespace, api_version=api_version)
        query = {"dryRun": "All" if dry_run else "", "fieldValidation": field_validation}
        return self._object("POST", path, query=query, body=body, timeout=timeout)

    def patch(
        self,
        plural: str,
        name: str,
        body: Any,
        *,
        kind: PatchKind,
        subresource: str = "",
        namespace: str | None = None,
        api_version: str = API_VERSION,
        field_manager: str = "",
        force: bool = False,
        timeout: float | None = None,
    ) -> Object:
        """Change an object. A server-side apply needs `field_manager`; strategic: built-in resources only."""
        path = self.path(plural, name, subresource, namespace=namespace, api_version=api_version)
        return self._object(
            "PATCH",
            path,
            query={"fieldManager": field_manager, "force": force},
            body=body,
            content_type=_PATCH_TYPES[kind],
            timeout=timeout,
        )

    def delete(
        self,
        plural: str,
        name: str,
        *,
        namespace: str | None = None,
        api_version: str = API_VERSION,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "Background",
        timeout: float | None = None,
    ) -> Object:
        """Delete it; with `uid` or `resource_version` only while it is still that one (409 otherwise)."""
        preconditions = {
            key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value
        }
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if preconditions:
            body["preconditions"] = preconditions
        path = self.path(plural, name, namespace=namespace, api_version=api_version)
        return self._object("DELETE", path, body=body, timeout=timeout)

    def watch(
        self,
        plural: str,
        *,
        resource_version: str,
        namespace: str | None = None,
        all_namespaces: bool = False,
        field_selector: str = "",
        label_selector: str = "",
        timeout_seconds: float = 300.0,
        silence: float | None = None,
        bookmarks: bool = True,
        api_version: str = API_VERSION,
    ) -> Watch:
        """Changes after `resource_version`, until the server ends it after `timeout_seconds`.

        The iteration raises `ApiError` with `is_gone` where the version is too old, and `Unreachable` where
        the connection breaks: list again, and watch from there. `silence` is the longest wait for any byte,
        in seconds; it finds connections that died unnoticed.
        """
        path = self.path(plural, namespace=namespace, all_namespaces=all_namespaces, api_version=api_version)
        query: dict[str, str | int | bool | None] = {
            "watch": True,
            "resourceVersion": resource_version,
            "fieldSelector": field_selector,
            "labelSelector": label_selector,
            "timeoutSeconds": max(1, round(timeout_seconds)),
            "allowWatchBookmarks": bookmarks,
        }
        # The server ends the watch by itself; only a connection that died in silence gets to the margin.
        return Watch(self.transport.stream(path, query=query, timeout=silence or timeout_seconds + 15))

    def pod_log(
        self,
        name: str,
        *,
        namespace: str | None = None,
        container: str = "",
        follow: bool = False,
        timeout: float = 3600.0,
    ) -> Iterator[str]:
        """The lines of a container's log, without line ends. `timeout`: the longest silence, in seconds."""
        path = self.path("pods", name, "log", namespace=namespace, api_version="v1")
        query: dict[str, str | int | bool | None] = {"container": container, "follow": follow}
        with self.transport.stream(path, query=query, timeout=timeout) as stream:
            for line in stream:
                yield line.decode(errors="replace").rstrip("\r\n")

    def path(
        self,
        plural: str,
        name: str = "",
        subresource: str = "",
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        api_version: str = API_VERSION,
    ) -> str:
        """The URL's path of a resource, an object or a subresource."""
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        parts = [root]
        if not all_namespaces:
            parts += ["namespaces", namespace or self.namespace]
        return "/".join([*parts, plural, *filter(None, (name, subresource))])

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Anything else, by its path: `request("GET", "/version")`."""
        return self.transport.request(method, path, body=body, timeout=timeout or self.timeout)

    def close(self) -> None:
        """Close the idle connections."""
        self.transport.close()

    def _object(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float | None = None,
        retries: int = 0,
    ) -> Object:
        answer: Object = self.transport.request(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            timeout=timeout or self.timeout,
            retries=retries,
        )
        return answer
