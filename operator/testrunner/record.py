"""The runner's TestBatch: owning it, reading it again, and what it writes there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qgjob.api import lifecycle
from qgjob.api.constants import TEST_BATCHES
from qgjob.api.testbatch import TestBatchSpec
from qgjob.client import ApiError, ClientError

from .answers import REQUEST_SECONDS, is_away, pause
from .standing import Ownership, ownership

if TYPE_CHECKING:
    from collections.abc import Callable

    from qgjob.api.testbatch import BatchJob
    from qgjob.client import Client
    from qgjob.client.client import PatchKind

    from .clock import Clock
    from .identity import Pod
    from .stop import StopToken

#: How long a runner that owns nothing yet waits for an API server that doesn't answer.
OWN_PATIENCE_SECONDS = 60.0


class NotOursError(Exception):
    """The batch belongs to another pod, or is over. This runner has nothing to do."""


class BatchRecord:
    """The batch as it was read last. Reading is safe from any thread, writing is the main thread's."""

    def __init__(self, client: Client, namespace: str, name: str, pod: Pod, clock: Clock) -> None:
        self.namespace = namespace
        self.name = name
        self.pod = pod
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._object: dict[str, Any] = {}
        self._spec: TestBatchSpec | None = None
        self._read_at = float("-inf")

    @property
    def spec(self) -> TestBatchSpec:
        """As it was read last; `jobs` grows, `yield` may come."""
        with self._lock:
            if self._spec is None:
                raise RuntimeError("the batch was not read yet")
            return self._spec

    @property
    def entries(self) -> list[BatchJob]:
        """The batch's TestJobs in running order, as they were nominated."""
        return self.spec.jobs

    @property
    def read_at(self) -> float:
        """When the request of the newest reading was sent, by the clock's monotonic time."""
        return self._read_at

    @property
    def age(self) -> float:
        """Seconds since the request of the newest reading was sent."""
        return self._clock.monotonic() - self._read_at

    def own(self, stop: StopToken, log: Callable[[str], None]) -> None:
        """Make this pod the batch's one runner: its uid by the resourceVersion that was read.

        Raises:
            NotOursError: another pod was first, or the batch is over.
            ClientError: the server refuses, or has not answered for OWN_PATIENCE_SECONDS.
        """
        begun = self._clock.monotonic()
        tries = 0
        while True:
            try:
                whose = self.read()
                # MINE without having written: the answer to an earlier try was lost.
                if whose is Ownership.MINE:
                    return
                if whose is not Ownership.FREE:
                    raise NotOursError(f"TestBatch {self.namespace}/{self.name}: {whose.value}")
                now = lifecycle.timestamp(self._clock.now())
                self._patch_by_version(
                    {
                        "pod": self.pod.uid,
                        "podName": self.pod.name,
                        "phase": "Installing",
                        "startTime": now,
                    }
                )
            except ClientError as error:
                if isinstance(error, ApiError) and error.is_conflict:
                    continue
                late = self._clock.monotonic() - begun > OWN_PATIENCE_SECONDS
                unauthorized = isinstance(error, ApiError) and error.status == 401
                if late or unauthorized or stop.requested or not is_away(error):
                    raise
                tries += 1
                log(f"{error}; trying again")
                stop.wait(pause(tries))
            else:
                return

    def read(self, timeout: float = REQUEST_SECONDS) -> Ownership:
        """Read it again, and say whose it is. Raises ClientError."""
        sent = self._clock.monotonic()
        batch = self._client.get(TEST_BATCHES, self.name, namespace=self.namespace, timeout=timeout)
        return self._keep(batch, sent)

    def mark_running(self, install_seconds: float, *, again: bool) -> bool:
        """The app is installed. Returns whether the batch is still this pod's; raises ClientError.

        `again`: an earlier try had no answer, and may have been carried out.
        """
        if again:
            whose = self.read()
            if whose is not Ownership.MINE or self._phase == "Running":
                return whose is Ownership.MINE
        patch = [
            {"op": "test", "path": "/status/pod", "value": self.pod.uid},
            {"op": "test", "path": "/status/phase", "value": "Installing"},
            {"op": "add", "path": "/status/phase", "value": "Running"},
            {"op": "add", "path": "/status/installSeconds", "value": round(install_seconds, 3)},
            # What it waited for is over.
            {"op": "add", "path": "/status/message", "value": ""},
        ]
        sent = self._clock.monotonic()
        try:
            batch = self._patch_status(patch, "json")
        except ApiError as error:
            if not error.is_invalid:
                raise
            return False
        return self._keep(batch, sent) is Ownership.MINE

    def tell(self, message: str) -> None:
        """Say what it waits for before its install; nothing where that is over. Raises ClientError."""
        if self._phase == "Installing":
            self._patch_by_version({"message": lifecycle.clip(message)})

    def close(self, status: dict[str, Any]) -> None:
        """The last write, by the resourceVersion that was read last; raises ClientError (409: it changed)."""
        self._patch_by_version({**status, "open": False})

    def add(self, note: str) -> None:
        """Say something more of a batch that is over by this pod's report. Raises ClientError."""
        with self._lock:
            said = str((self._object.get("status") or {}).get("message") or "")
        message = lifecycle.clip(f"{said}; {note}" if said else note)
        patch = [
            {"op": "test", "path": "/status/pod", "value": self.pod.uid},
            {"op": "test", "path": "/status/open", "value": False},
            {"op": "add", "path": "/status/message", "value": message},
        ]
        self._patch_status(patch, "json")

    def closed_by_us(self) -> bool:
        """Whether the newest reading shows it over by this pod's own report (whose answer was lost)."""
        with self._lock:
            status = self._object.get("status") or {}
            over = status.get("phase") in ("Completed", "Failed", "Yielded")
            return over and status.get("pod") == self.pod.uid and not status.get("open", True)

    @property
    def _phase(self) -> str:
        with self._lock:
            return str((self._object.get("status") or {}).get("phase") or "")

    def _patch_by_version(self, status: dict[str, Any]) -> None:
        with self._lock:
            version = self._object["metadata"]["resourceVersion"]
        sent = self._clock.monotonic()
        batch = self._patch_status(lifecycle.merge_patch(version, status), "merge")
        self._keep(batch, sent)

    def _patch_status(self, patch: Any, kind: PatchKind) -> dict[str, Any]:
        return self._client.patch(
            TEST_BATCHES,
            self.name,
            patch,
            kind=kind,
            subresource="status",
            namespace=self.namespace,
            timeout=REQUEST_SECONDS,
        )

    def _keep(self, batch: dict[str, Any], sent: float) -> Ownership:
        spec = TestBatchSpec.model_validate(batch["spec"])
        with self._lock:
            uid = (self._object or batch)["metadata"]["uid"]
            # Two threads read: an answer that overtook another one is not replaced by it.
            if sent >= self._read_at and batch["metadata"]["uid"] == uid:
                self._object, self._spec, self._read_at = batch, spec, sent
        return ownership(batch, uid=uid, pod_uid=self.pod.uid)
