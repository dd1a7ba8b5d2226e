"""Creating TestJobs: once, whoever asks how often, and with their source beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgjob.api.constants import API_VERSION, TEST_JOBS, TEST_TARGETS

from . import differences, views
from .assembly import refused
from .exits import CliError, Exit
from .failures import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qgjob.client import Client

    from .packing import Packed

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A TestJob as the server has it; `existed`: it was submitted before, with the same content."""

    job: Object
    existed: bool


def doubts(client: Client, manifests: list[Object]) -> list[str]:
    """What jobs that were created may wait for in vain, or fail for. No refusal: their target may come later."""
    from qgjob.client import ApiError, ClientError

    found = []
    for namespace, target in dict.fromkeys(
        (manifest["metadata"].get("namespace"), manifest["spec"].get("target")) for manifest in manifests
    ):
        if not isinstance(target, str) or not target:
            continue  # the server says so
        try:
            live = client.get(TEST_TARGETS, target, namespace=namespace)
        except ApiError as error:
            if error.is_not_found and error.details.get("name"):
                found.append(
                    f"there is no target {target!r} in namespace {namespace or client.namespace!r}: "
                    "the jobs wait until there is (`qgjob targets` lists them)"
                )
            continue  # who may create jobs need not be allowed to read targets
        except ClientError:
            continue  # creating the jobs will tell
        ready = views.condition(live, "Ready")
        if ready.get("status") == "False":
            found.append(
                f"target {target!r} is not ready, so the jobs may wait: "
                f"{ready.get('reason')}: {ready.get('message')}"
            )
        spec = live["spec"]
        if spec["driver"]["name"] == "appwright" and "source" not in spec:
            bare = [
                manifest["metadata"].get("name", "")
                for manifest in manifests
                if manifest["spec"].get("target") == target and "source" not in manifest["spec"]
            ]
            if bare:
                found.append(
                    f"target {target!r} has no test files of its own, and {len(bare)} of the jobs bring none: "
                    "give --source-dir FOLDER or --git URL"
                )
    return found


def create(client: Client, manifest: Object, *, dry_run: bool = False) -> Submitted:
    """Create the TestJob. One request, unless its name is taken.

    Raises:
        CliError: the name is taken by one with other content; nothing was changed.
        ClientError: what the server said.
    """
    from qgjob.client import ApiError

    namespace = manifest["metadata"].get("namespace")
    try:
        job = client.create(
            TEST_JOBS, manifest, namespace=namespace, dry_run=dry_run, field_validation="Strict"
        )
        return Submitted(job, existed=False)
    except ApiError as error:
        if not error.is_already_exists:
            raise
    name = manifest["metadata"]["name"]
    existing = client.get(TEST_JOBS, name, namespace=namespace)
    found = differences.differing(existing["spec"], _with_defaults(client, manifest))
    if found:
        raise CliError(
            f"job {name!r} exists with other content ({'; '.join(found)}); nothing was changed.\n"
            "Submit it under another name (--job-id), or with the same content"
        )
    return Submitted(existing, existed=True)


def check_all(client: Client, manifests: Sequence[Object], places: Sequence[str]) -> None:
    """Have the server check them all, and create none. `places` says where each of them stands.

    Raises:
        CliError: each one that it refuses, or whose name is taken by one with other content, with its place.
        ClientError: it can't be asked.
    """
    from qgjob.client import ApiError

    problems = []
    for manifest, place in zip(manifests, places, strict=True):
        try:
            create(client, manifest, dry_run=True)
        except CliError as error:
            problems.append(f"{place}: {error}")
        except ApiError as error:
            explained = explain(error)
            if explained.code is not Exit.USAGE:
                raise
            problems.append(f"{place}: {explained}")
    if problems:
        raise refused([problem.replace("\n", "\n    ") for problem in problems])


def _with_defaults(client: Client, manifest: Object) -> Object:
    """The spec as the server would store it: a dry run under a name that nothing has."""
    trial = {**manifest, "metadata": {"generateName": "compare-"}}
    namespace = manifest["metadata"].get("namespace")
    spec: Object = client.create(
        TEST_JOBS, trial, namespace=namespace, dry_run=True, field_validation="Strict"
    )["spec"]
    return spec


def send_source(client: Client, packed: Packed) -> Object | None:
    """Create the ConfigMap; None where it is there already, because the same files were sent before."""
    from qgjob.client import ApiError

    try:
        return client.create("configmaps", packed.config_map(), api_version="v1")
    except ApiError as error:
        if not error.is_already_exists:
            raise
        return None


def own_source(client: Client, packed: Packed, jobs: list[Object]) -> None:
    """Make the ConfigMap go with the last of its TestJobs."""
    from qgjob.client import ApiError

    owners = [
        {
            "apiVersion": API_VERSION,
            "kind": "TestJob",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        for job in jobs
    ]
    metadata = {"ownerReferences": owners}
    try:
        # Merged by uid on the server: others may add theirs at the same time.
        client.patch("configmaps", packed.name, {"metadata": metadata}, kind="strategic", api_version="v1")
    except ApiError as error:
        if not error.is_not_found:
            raise
        # It went away with its last owner just when these were submitted.
        body = packed.config_map()
        body["metadata"] |= metadata
        client.create("configmaps", body, api_version="v1")


def drop_source(client: Client, created: Object) -> None:
    """Remove a ConfigMap that was made for TestJobs that could not be; not if somebody uses it meanwhile."""
    from qgjob.client import ClientError

    metadata = created["metadata"]
    try:
        client.delete(
            "configmaps",
            metadata["name"],
            api_version="v1",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )
    except ClientError:
        return  # the error that led here is the one to tell
