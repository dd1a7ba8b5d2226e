"""The phone's package manager: installs, data of apps, and what it refuses, with Android's own words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import apk
from .manifest import Manifest, ManifestError

if TYPE_CHECKING:
    from .journal import Journal

SDK = 34


@dataclass
class Package:
    """One installed app. `data` is what the app keeps until it is cleared or removed."""

    manifest: Manifest
    sha256: str
    size: int
    screens: dict[str, Any] | None
    data: dict[str, Any] = field(default_factory=dict)
    granted: set[str] = field(default_factory=set)


class PackageManager:
    """What is installed, and how often something was."""

    def __init__(self, journal: Journal) -> None:
        self.installed: dict[str, Package] = {}
        self.install_counts: dict[str, int] = {}
        self._journal = journal

    def install(
        self, data: bytes, *, client: str, refuse: str = "", downgrade: bool = False, grant: bool = False
    ) -> str:
        """Installs an APK; returns what `pm install` prints. `refuse` is a failure to answer with."""
        try:
            found = apk.read(data)
        except ManifestError as e:
            return self._refused("INSTALL_PARSE_FAILED_NOT_APK", str(e), client=client)
        m = found.manifest
        about = {"package": m.package, "version": m.version_name, "client": client}
        if refuse:
            return self._refused(refuse, "fault", **about)
        if m.min_sdk > SDK:
            return self._refused(
                "INSTALL_FAILED_OLDER_SDK",
                f"Requires newer sdk version #{m.min_sdk} (current version is #{SDK})",
                **about,
            )
        old = self.installed.get(m.package)
        if old and old.manifest.version_code > m.version_code and not downgrade:
            return self._refused(
                "INSTALL_FAILED_VERSION_DOWNGRADE",
                f"Update version code {m.version_code} is older than current {old.manifest.version_code}",
                **about,
            )
        digest = hashlib.sha256(data).hexdigest()
        # An update keeps the app's data, as on any phone.
        kept = old.data if old else {}
        granted = set(m.permissions) if grant else old.granted if old else set()
        self.installed[m.package] = Package(m, digest, len(data), found.screens, kept, granted)
        self.install_counts[m.package] = self.install_counts.get(m.package, 0) + 1
        self._journal.note("install", **about, sha256=digest, bytes=len(data))
        return "Success\n"

    def uninstall(self, name: str, *, client: str) -> bool:
        if self.installed.pop(name, None) is None:
            return False
        self._journal.note("uninstall", package=name, client=client)
        return True

    def clear(self, name: str, *, client: str) -> bool:
        package = self.installed.get(name)
        if package is None:
            return False
        package.data, package.granted = {}, set()
        self._journal.note("clear-data", package=name, client=client)
        return True

    def grant(self, name: str, permission: str) -> bool:
        """As every permission here has to be granted at run time; False where the app does not ask for it."""
        package = self.installed.get(name)
        if package is None or permission not in package.manifest.permissions:
            return False
        package.granted.add(permission)
        return True

    def describe(self, name: str) -> str:
        """What `dumpsys package NAME` prints, as far as anybody reads it."""
        package = self.installed.get(name)
        if package is None:
            return f"Unable to find package: {name}\n"
        m = package.manifest
        requested = "".join(f"      {each}\n" for each in m.permissions)
        runtime = "".join(
            f"        {each}: granted={str(each in package.granted).lower()}, flags=[ USER_SENSITIVE ]\n"
            for each in m.permissions
        )
        return (
            f"Packages:\n  Package [{name}] (1a2b3c):\n    userId=10100\n"
            f"    versionCode={m.version_code} minSdk={m.min_sdk} targetSdk={m.target_sdk}\n"
            f"    versionName={m.version_name}\n    requested permissions:\n{requested}    install permissions:\n"
            "    User 0: ceDataInode=1 installed=true hidden=false suspended=false stopped=false\n"
            f"      runtime permissions:\n{runtime}"
        )

    def _refused(self, code: str, why: str, **about: Any) -> str:
        self._journal.note("install-refused", code=code, **about)
        return f"Failure [{code}: {why}]\n"
