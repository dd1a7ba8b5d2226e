"""Where a target's files come from and go to: the app's package, artifacts, caches, and the Secrets for them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ApiModel, PreservedObject, Rule, SecretName, matching

VERSION_PLACEHOLDER = "{appVersionId}"


class S3Access(ApiModel):
    """How to reach an S3-compatible object store."""

    endpoint: Annotated[
        str | None,
        matching(
            r"^https?://[^/?#]+/?$",
            "must be http(s)://host[:port]",
            max_length=512,
            description="The store's URL; AWS's own for the region otherwise.",
        ),
    ] = None
    region: Annotated[str, Field(min_length=1, max_length=64)] = "us-east-1"
    credentials_secret: Annotated[
        SecretName | None,
        Field(
            description="Secret with the keys `accessKeyId` and `secretAccessKey` (and `sessionToken`); "
            "the pod's own identity otherwise."
        ),
    ] = None


class App(ApiModel):
    """Where the app's package comes from."""

    url: Annotated[
        str | None,
        matching(
            r"^(https?|file|s3)://",
            "must begin with https://, http://, s3:// or file://",
            max_length=2048,
            description="URL of the package; {appVersionId} stands for the TestJob's app version.",
        ),
    ] = None
    custom_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="For BrowserStack: custom_id of a package that was uploaded before, with {appVersionId}.",
        ),
    ] = None
    sha256_url: Annotated[
        str | None,
        matching(
            r"^(https?|file|s3)://",
            "must begin with https://, http://, s3:// or file://",
            max_length=2048,
            description="URL of a file that begins with the package's sha256, as sha256sum writes it; checked.",
        ),
    ] = None
    headers_secret: Annotated[
        SecretName | None,
        Field(description="Secret whose keys are sent as headers with each http(s) request: Authorization."),
    ] = None
    s3: Annotated[S3Access | None, Field(description="How to reach the bucket of an s3:// URL.")] = None
    max_bytes: Annotated[
        int, Field(ge=1, le=8589934592, description="Largest package accepted, in bytes.")
    ] = 2147483648

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.url) != has(self.customId)", "app needs exactly one of url, customId"),
        *(
            Rule(
                f"!has(self.{field}) || self.{field}.contains('{VERSION_PLACEHOLDER}')",
                f"must contain {VERSION_PLACEHOLDER}, else every app version is the same file",
                f".{field}",
            )
            for field in ("url", "customId", "sha256Url")
        ),
    )


class Bucket(S3Access):
    """A bucket, and where in it."""

    bucket: Annotated[
        str,
        matching(
            r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
            "must be a bucket's name: 3 to 63 lower-case letters, digits, dots and dashes",
            max_length=63,
        ),
    ]
    prefix: Annotated[
        str,
        matching(
            r"^([A-Za-z0-9._=-]+/)*[A-Za-z0-9._=-]*$",
            "must be folders of letters, digits, '.', '_', '=' and '-', with '/' between them",
            max_length=256,
            description="Keys begin so.",
        ),
    ] = "qgjob"


class VolumeClaim(ApiModel):
    """A PersistentVolumeClaim of the target's namespace."""

    claim_name: Annotated[SecretName, Field(description="Its name.")]


class Artifacts(ApiModel):
    """Where reports, screenshots, videos and logs are kept."""

    s3: Annotated[Bucket | None, Field(description="A bucket of an S3-compatible store.")] = None
    persistent_volume_claim: VolumeClaim | None = None
    link_url: Annotated[
        str | None,
        matching(
            r"^https?://",
            "must begin with https:// or http://",
            max_length=512,
            description="Links in statuses begin so, where people reach the store at another URL than the runner.",
        ),
    ] = None
    retention_days: Annotated[
        int | None, Field(ge=1, le=3650, description="Older ones are deleted; kept for ever otherwise.")
    ] = None
    max_bytes_per_attempt: Annotated[
        int, Field(ge=1, le=8589934592, description="The largest files beyond this are left out, and named.")
    ] = 209715200

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.s3) != has(self.persistentVolumeClaim)",
            "artifacts needs exactly one of s3, persistentVolumeClaim",
        ),
    )


class Cache(ApiModel):
    """A volume that outlives batches: app packages and node_modules are kept there."""

    volume: Annotated[
        PreservedObject,
        Field(description="A volume source as in a pod: hostPath, persistentVolumeClaim, …"),
    ]
    max_bytes: Annotated[
        int, Field(ge=1048576, description="What was not used for longest is deleted beyond this.")
    ] = 10737418240


class GitCredentials(ApiModel):
    """For git sources below a URL."""

    url_prefix: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            description="Repositories whose URL begins so: https://git.example.com/team/ or git@git.example.com:",
        ),
    ]
    secret: Annotated[
        SecretName,
        Field(
            description="Secret of type kubernetes.io/basic-auth (`username`, `password`: a token will do) or "
            "kubernetes.io/ssh-auth (`ssh-privatekey`, and `known_hosts`)."
        ),
    ]


class SecretEnvVar(ApiModel):
    """An environment variable whose value comes from a Secret. Masked in logs and statuses."""

    name: Annotated[
        str,
        matching(
            r"^[A-Za-z_][A-Za-z0-9_]*$",
            "must be letters, digits and '_', and must not begin with a digit",
            max_length=128,
        ),
    ]
    secret: Annotated[SecretName, Field(description="The Secret's name.")]
    key: Annotated[str, Field(min_length=1, max_length=253, description="The key in it.")]
