"""Which Secrets a target needs as files, and who may have them: for the pod that is built and the program in it. Pure.

Tests are untrusted, so what fetches and stores with credentials is a container of its own, the courier. Both sides go
by this module: the one that mounts a Secret, and the one that reads it. The standard library is all that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Below this folder of the courier, each purpose has a folder with its Secret's keys.
SECRETS_FOLDER: Final = "/var/run/qgjob/secrets"
#: Where the courier has the artifacts' PersistentVolumeClaim, and both containers the target's cache.
ARTIFACTS_FOLDER: Final = "/var/run/qgjob/artifacts"
CACHE_FOLDER: Final = "/cache"
#: In the environment of runner and courier: the socket that they talk over. A runner without it has no courier.
COURIER_VARIABLE: Final = "QGJOB_COURIER_SOCKET"
#: Purposes. Git's are numbered as in TestTarget.spec.gitCredentials.
APP_HEADERS: Final = "app-headers"
APP_S3: Final = "app-s3"
ARTIFACTS_S3: Final = "artifacts-s3"
GIT: Final = "git-{index}"


def secret_files(target_spec: Mapping[str, Any]) -> dict[str, str]:
    """The Secrets' names by purpose, for a TestTarget's spec as the API server returns it."""
    app, artifacts = target_spec.get("app") or {}, target_spec.get("artifacts") or {}
    wanted = {
        APP_HEADERS: app.get("headersSecret"),
        APP_S3: (app.get("s3") or {}).get("credentialsSecret"),
        ARTIFACTS_S3: (artifacts.get("s3") or {}).get("credentialsSecret"),
        **{
            GIT.format(index=index): each.get("secret")
            for index, each in enumerate(target_spec.get("gitCredentials") or ())
        },
    }
    return {purpose: str(secret) for purpose, secret in wanted.items() if secret}


def artifacts_claim(target_spec: Mapping[str, Any]) -> str:
    """The PersistentVolumeClaim that artifacts are kept on; empty where there is none."""
    claim = (target_spec.get("artifacts") or {}).get("persistentVolumeClaim") or {}
    return str(claim.get("claimName") or "")


def needs_courier(target_spec: Mapping[str, Any]) -> bool:
    """Whether the pod gets a courier: there is something that tests must not reach, or that must outlive them."""
    cloud = (target_spec.get("provider") or {}).get("browserstack")
    return bool(cloud or secret_files(target_spec) or artifacts_claim(target_spec))


def git_purpose(url: str, prefixes: Sequence[str]) -> str | None:
    """The purpose of the longest of the `urlPrefix`es (in the spec's order) that a clone URL begins with.

    A prefix ends where a host or a folder does: `https://git.example.com` is none of `https://git.example.com.evil.io/`.
    A URL that climbs (`..`) has no prefix: the server would take it for another folder.
    """
    if ".." in url or "%" in url or "\\" in url:
        return None
    fitting = [
        (len(prefix), index)
        for index, prefix in enumerate(prefixes)
        if url.startswith(prefix) and (prefix.endswith(("/", ":")) or url[len(prefix) :][:1] in ("", "/"))
    ]
    return GIT.format(index=max(fitting)[1]) if fitting else None
