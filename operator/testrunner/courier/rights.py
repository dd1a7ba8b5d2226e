"""What a batch may ask its courier for. Whoever asks may be a test that has found the socket."""

from __future__ import annotations

from typing import Any, Final

from qgjob.api.artifacts import attempt_path
from qgjob.api.constants import TEST_BATCHES, TEST_JOBS, TEST_TARGETS
from qgjob.api.credentials import git_purpose
from qgjob.api.testbatch import TestBatchSpec
from qgjob.api.testtarget import TestTargetSpec
from qgjob.client import ApiError, Client, ClientError

from ..answers import REQUEST_SECONDS
from ..drivers.base import InfrastructureError

#: Requests in all while the API server does not answer.
_RETRIES: Final = 5


class BatchRights:
    """One batch, its target and its TestJobs, read when they are asked for. Safe to use from several threads."""

    def __init__(self, client: Client, namespace: str, batch: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = batch

    def batch(self) -> TestBatchSpec:
        """As it is now: TestJobs may be added. Raises InfrastructureError."""
        return TestBatchSpec.model_validate(self._get(TEST_BATCHES, self._name)["spec"])

    def target(self, name: str) -> TestTargetSpec:
        """The batch's target as it is now. Raises InfrastructureError."""
        return TestTargetSpec.model_validate(self._get(TEST_TARGETS, name)["spec"])

    def check_repository(self, repository: str, target: TestTargetSpec) -> None:
        """A repository that this batch's tests come from, and that the target has a Secret for.

        Raises InfrastructureError where it is another one.
        """
        if git_purpose(repository, [each.url_prefix for each in target.git_credentials]) is None:
            raise InfrastructureError(f"the TestTarget's gitCredentials have none for {repository}")
        source = target.source
        if source is not None and source.git is not None and source.git.repository == repository:
            return
        # By uid, and from the batch's spec, which no runner can write.
        uids = {entry.uid for entry in self.batch().jobs}
        for job in self._claimed():
            git = (job["spec"].get("source") or {}).get("git") or {}
            if job["metadata"]["uid"] in uids and git.get("repository") == repository:
                return
        raise InfrastructureError(f"no TestJob of this batch has its test files in {repository}")

    def check_key(self, key: str) -> None:
        """A key of an attempt of this batch. Raises InfrastructureError where it is another one's."""
        ours = {attempt_path(entry.name, entry.uid, entry.attempt) for entry in self.batch().jobs}
        if "/".join(key.rstrip("/").split("/")[-2:]) not in ours:
            raise InfrastructureError(f"{key!r} is no key of an attempt of this batch")

    def _claimed(self) -> list[dict[str, Any]]:
        try:
            return list(
                self._client.list(
                    TEST_JOBS,
                    namespace=self._namespace,
                    field_selector=f"status.batch={self._name}",
                    timeout=REQUEST_SECONDS,
                )
            )
        except ClientError as error:
            raise InfrastructureError(f"the batch's TestJobs can't be read: {error}") from error

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        try:
            return self._client.get(
                kind, name, namespace=self._namespace, timeout=REQUEST_SECONDS, retries=_RETRIES
            )
        except ApiError as error:
            if error.is_not_found:
                raise InfrastructureError(f"{kind}/{name} is gone") from error
            raise InfrastructureError(f"{kind}/{name} can't be read: {error}") from error
        except ClientError as error:
            raise InfrastructureError(f"{kind}/{name} can't be read: {error}") from error
