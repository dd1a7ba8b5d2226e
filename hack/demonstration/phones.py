"""The simulated phones of manifests/samples/phones in a cluster, and what they say about what happened to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from hack.deployment import images_replaced
from hack.imagebuild.images import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.deployment import Access
    from hack.imagebuild.images import Image

MANIFESTS = ROOT / "manifests" / "samples" / "phones"
PHONES = ("phone-1", "phone-2")
APP_SERVER = "apps"
PACKAGE = "org.example.shop"
READY_SECONDS = 120


@dataclass(frozen=True)
class Phones:
    """Two phones, an app server and their TestTarget `phones`, in one namespace."""

    access: Access
    namespace: str

    @classmethod
    def install(cls, access: Access, namespace: str, images: Iterable[Image]) -> Phones:
        """Bring them into the namespace, and wait until they are ready. Raises ClusterError."""
        phones = cls(access, namespace)
        manifest = images_replaced(access.run("kustomize", MANIFESTS), images)
        objects = [each for each in yaml.safe_load_all(manifest) if each]
        phones._apply([each for each in objects if each["kind"] != "TestTarget"])
        phones._apply([phones._by_address(each) for each in objects if each["kind"] == "TestTarget"])
        phones.wait_until_ready()
        return phones

    @property
    def app_url(self) -> str:
        """Where the app server has the shop, as a target names it."""
        target = self.access.run(
            "get", "testtarget", "phones", "--namespace", self.namespace, "--output=json"
        )
        return str(json.loads(target)["spec"]["app"]["url"])

    def wait_until_ready(self) -> None:
        """Wait for the phones and the app server."""
        for name in (*PHONES, APP_SERVER):
            self.access.run(
                *("rollout", "status", f"deployment/{name}", "--namespace", self.namespace),
                f"--timeout={READY_SECONDS}s",
                timeout=READY_SECONDS + 30,
            )

    def unpack(self) -> None:
        """Exchange both for phones fresh from the box, with nothing installed and empty logs."""
        for name in PHONES:
            self.access.run("rollout", "restart", f"deployment/{name}", "--namespace", self.namespace)
        self.wait_until_ready()

    def state(self, phone: str) -> dict[str, Any]:
        """Return what a phone counts: installs by package, sessions, and overlaps of sessions."""
        state: dict[str, Any] = json.loads(self._get(phone, "state"))
        return state

    def events(self, phone: str, kind: str = "") -> list[dict[str, Any]]:
        """Return a phone's own log, or its events of one kind."""
        lines = self._get(phone, f"log?event={kind}" if kind else "log").splitlines()
        return [json.loads(line) for line in lines]

    def installs(self) -> int:
        """Return how often the shop was installed, by the phones' own count."""
        return sum(int(self.state(phone)["installs"].get(PACKAGE, 0)) for phone in PHONES)

    def overlaps(self) -> int:
        """Return how often two tests used a phone at once, by the phones' own count."""
        return sum(int(self.state(phone)["overlaps"]) for phone in PHONES)

    def break_phone(self, phone: str, fault: str) -> None:
        """Make something go wrong with a phone; see hack/phone/faults.py. `none` mends it."""
        # From inside the pod: `kubectl create --raw` sends no Content-Length, which the phone wants.
        program = (
            f"import urllib.request as u; u.urlopen('http://127.0.0.1:8080/fault', data={fault.encode()!r})"
        )
        self.access.run(
            *("exec", f"deployment/{phone}", "--namespace", self.namespace, "--"), *("python3", "-c", program)
        )

    def _apply(self, objects: list[dict[str, Any]]) -> None:
        text = yaml.safe_dump_all(objects)
        self.access.run("apply", "--namespace", self.namespace, "--filename", "-", stdin=text)

    def _by_address(self, target: dict[str, Any]) -> dict[str, Any]:
        """Return the TestTarget with the Services' addresses, since a cluster need not have DNS."""
        services = json.loads(
            self.access.run("get", "services", "--namespace", self.namespace, "--output", "json")
        )
        addresses = {each["metadata"]["name"]: each["spec"]["clusterIP"] for each in services["items"]}
        text = json.dumps(target)
        for name in (*PHONES, APP_SERVER):
            text = text.replace(f"{name}:", f"{addresses[name]}:")
        changed: dict[str, Any] = json.loads(text)
        return changed

    def _get(self, phone: str, path: str) -> str:
        return self.access.run("get", "--raw", self._path(phone, path))

    def _path(self, phone: str, path: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/services/{phone}:control/proxy/{path}"
