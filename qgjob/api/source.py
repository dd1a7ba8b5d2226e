"""Where a TestJob's test files come from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ApiModel, Rule

RelativePath = Annotated[
    str, Field(max_length=512, pattern=r"^[^/].*$", description="A relative path with '/' between its parts.")
]


class ImageSource(ApiModel):
    """Test files that are in the runner's image already."""

    path: Annotated[
        str, Field(max_length=512, pattern=r"^/", description="Absolute path of the project in the image.")
    ] = "/project"


class GitSource(ApiModel):
    """Test files from a git repository."""

    repository: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            pattern=r"^(https?|ssh|git|file)://|^[^@/]+@[^:]+:",
            description="Clone URL.",
        ),
    ]
    revision: Annotated[str, Field(min_length=1, max_length=256, description="Branch, tag or commit.")] = (
        "HEAD"
    )
    path: Annotated[str, Field(max_length=512, description="Folder of the project in the repository.")] = "."


class ArchiveSource(ApiModel):
    """Test files from a .tar, .tar.gz or .zip file."""

    url: Annotated[
        str,
        Field(
            min_length=1, max_length=2048, pattern=r"^https?://", description="http(s) URL of the archive."
        ),
    ]
    sha256: Annotated[
        str | None, Field(pattern=r"^[0-9a-f]{64}$", description="Checked after the download where given.")
    ] = None


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
