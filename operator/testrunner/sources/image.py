"""Test files that are in the runner's image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .extract import invalid

if TYPE_CHECKING:
    from qgjob.api.source import ImageSource


def prepare_image(source: ImageSource) -> Path:
    """The folder as it is. Raises SubmitterError where the image has none."""
    folder = Path(source.path)
    if not folder.is_dir():
        raise invalid(f"the runner's image has no folder {source.path}: check source.image.path")
    return folder
