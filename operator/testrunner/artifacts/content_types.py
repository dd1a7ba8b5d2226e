"""The types under which files are stored, so that a browser shows what it can."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import Final

_TEXT: Final = "text/plain; charset=utf-8"
#: Not left to the machine's own lists: what people open in a browser must not hang on the runner's image.
_TYPES: Final = {
    **dict.fromkeys((".txt", ".log", ".jsonl", ".md", ".yaml", ".yml", ".csv"), _TEXT),
    **dict.fromkeys((".html", ".htm"), "text/html; charset=utf-8"),
    ".css": "text/css; charset=utf-8",
    **dict.fromkeys((".js", ".mjs"), "text/javascript; charset=utf-8"),
    ".json": "application/json",
    ".xml": "application/xml",
    ".png": "image/png",
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".zip": "application/zip",
    ".pdf": "application/pdf",
}


def content_type(name: str) -> str:
    """The Content-Type of a file, by its name."""
    ending = PurePosixPath(name).suffix.lower()
    return _TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
