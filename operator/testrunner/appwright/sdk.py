"""An Android SDK as far as Appium and AppWright look for one: its programs where Android Studio puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..devices.adb import find_sdk_tool

if TYPE_CHECKING:
    from pathlib import Path


def link_sdk(workdir: Path) -> Path:
    """A folder for ANDROID_HOME. Raises InfrastructureError where the image lacks adb or aapt."""
    sdk = workdir / "android-sdk"
    for tool, folder in (("adb", "platform-tools"), ("aapt", "build-tools/35.0.0")):
        link = sdk / folder / tool
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(find_sdk_tool(tool))
    return sdk
