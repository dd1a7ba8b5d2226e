"""Which package and activity an APK holds, read with aapt."""

from __future__ import annotations

import re
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, SubmitterError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 60.0
_PACKAGE: Final = re.compile(r"^package: name='([^']+)'", re.MULTILINE)
_ACTIVITY: Final = re.compile(r"^launchable-activity: name='([^']+)'", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """What a session needs to start the app. `activity` is empty where the app has none to start."""

    package: str
    activity: str


def identify(aapt: Path, app: Path, *, package: str | None, activity: str | None) -> AppIdentity:
    """The app's identity: what the target's settings say, the rest from the file.

    Raises SubmitterError (AppInvalid) where the file is no APK, InfrastructureError.
    """
    if package and activity:
        return AppIdentity(package, activity)
    if not package and not zipfile.is_zipfile(app):
        # The server's word, not the app's: builds are archives, and a page that asks to log in is none.
        raise InfrastructureError(
            f"{app.name} is not an APK: it is no archive at all. Does app.url lead to a login or an error page?"
        )
    try:
        done = subprocess.run(
            [aapt, "dump", "badging", app],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"aapt did not read {app.name} within {_SECONDS:g} s") from error
    return parse(done.stdout, done.stderr, name=app.name, package=package, activity=activity)


def parse(stdout: str, stderr: str, *, name: str, package: str | None, activity: str | None) -> AppIdentity:
    """What `aapt dump badging` printed. Raises SubmitterError (AppInvalid) where it names no package."""
    # aapt may complain at the end about an icon or a library, having said before what is asked here.
    found_package, found_activity = _PACKAGE.search(stdout), _ACTIVITY.search(stdout)
    package = package or (found_package[1] if found_package else "")
    activity = activity or (found_activity[1] if found_activity else "")
    if not package:
        complaint = next((line.strip() for line in stderr.splitlines() if line.strip()), "no package in it")
        raise SubmitterError("AppInvalid", f"{name} is not an APK that can be read: {complaint}")
    return AppIdentity(package, activity)
