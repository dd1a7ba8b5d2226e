"""The app maker: an APK of an app that is described by its screens, and back.

The APK has a real binary manifest, so `aapt dump badging` reads it. Instead of code it carries
`assets/screens.json`; the simulated phone shows what stands there. It is not signed: only this phone installs it.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import manifest
from .manifest import Manifest, ManifestError

if TYPE_CHECKING:
    from pathlib import Path

SCREENS = "assets/screens.json"

# A fixed date makes the same version the same file, and its ETag stable.
_ZIP_DATE = (2024, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Apk:
    """An APK that was read: its manifest, and the screens if the phone can show any."""

    manifest: Manifest
    screens: dict[str, Any] | None


def make(app: dict[str, Any], manifest_changes: dict[str, Any] | None = None) -> bytes:
    """An APK of `app`: {"package", "activity", "label", "versionName", "versionCode", …, "screens"}.

    `manifest_changes` replaces fields of the manifest (`min_sdk=99` makes it refuse to install).
    """
    m = Manifest(
        package=app["package"],
        version_code=app.get("versionCode", 1),
        version_name=app.get("versionName", "1.0"),
        label=app.get("label", app["package"]),
        activity=app.get("activity", app["package"] + ".MainActivity"),
        permissions=tuple(app.get("permissions", ())),
    )
    m = replace(m, **(manifest_changes or {}))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in (
            ("AndroidManifest.xml", manifest.write(m)),
            ("resources.arsc", manifest.empty_resource_table()),
            (SCREENS, json.dumps(app, indent=1, sort_keys=True).encode()),
        ):
            z.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def make_from_file(path: Path) -> bytes:
    """An APK of the app that a JSON file describes."""
    app: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return make(app)


def read(data: bytes) -> Apk:
    """Reads any APK, a real app's too.

    Raises ManifestError where it is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            m = manifest.read(z.read("AndroidManifest.xml"))
            screens = json.loads(z.read(SCREENS)) if SCREENS in z.namelist() else None
    except (zipfile.BadZipFile, KeyError, ValueError) as e:
        if isinstance(e, ManifestError):
            raise
        raise ManifestError(f"not an APK: {e}") from e
    return Apk(m, screens)
