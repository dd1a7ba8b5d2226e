"""Where a TestJob's test files come from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ApiModel, Rule, matching, rules

Sha256 = Annotated[
    str,
    matching(
        r"^[0-9a-f]{64}$", "must be 64 lower-case hexadecimal digits, as sha256sum prints them", max_length=64
    ),
]


class ImageSource(ApiModel):
    """Test files that are in the runner's image already."""

    path: Annotated[
        str,
        matching(
            r"^/",
            "must be an absolute path in the runner's image",
            max_length=512,
            description="Absolute path of the project in the image.",
        ),
    ] = "/project"


class GitSource(ApiModel):
    """Test files from a git repository."""

    repository: Annotated[
        str,
        matching(
            r"^(https?|ssh|git|file)://|^[^@/]+@[^:]+:",
            "must be a clone URL: https://host/team/tests.git or git@host:team/tests.git",
            max_length=2048,
            description="Clone URL.",
        ),
    ]
    revision: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="Branch, tag or commit.",
            json_schema_extra=rules(Rule("!self.startsWith('-')", "must be a branch, tag or commit")),
        ),
    ] = "HEAD"
    path: Annotated[
        str,
        Field(
            max_length=512,
            description="Folder of the project in the repository.",
            json_schema_extra=rules(
                Rule(
                    "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                    "must be a path inside the repository: relative, without '..'",
                )
            ),
        ),
    ] = "."


class ArchiveSource(ApiModel):
    """Test files from a .tar, .tar.gz or .zip file."""

    url: Annotated[
        str,
        matching(
            r"^https?://",
            "must begin with https:// or http://",
            max_length=2048,
            description="http(s) URL of the archive.",
        ),
    ]
    sha256: Annotated[Sha256 | None, Field(description="Checked after the download where given.")] = None


class ConfigMapSource(ApiModel):
    """Test files from a ConfigMap whose key `source.tar.gz` (binaryData) is a packed folder."""

    name: Annotated[
        str, Field(min_length=1, max_length=253, description="The ConfigMap's name, in the same namespace.")
    ]


class Source(ApiModel):
    """Exactly one place that the test files come from."""

    image: ImageSource | None = None
    git: GitSource | None = None
    archive: ArchiveSource | None = None
    config_map: ConfigMapSource | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.image), has(self.git), has(self.archive), has(self.configMap)].filter(x, x).size() == 1",
            "source needs exactly one of image, git, archive, configMap",
        ),
    )
