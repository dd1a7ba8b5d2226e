"""Whose fault it is that a device did not take an app: sorted by the code in `Failure [INSTALL_…]`. Pure.

The codes are those of Android's package manager (android.content.pm.PackageManager). Where the app is at fault, no
device of this kind will ever take it, so no retry can help; all else, unknown codes too, is the device's or chance.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Culprit = Literal["app", "device"]

#: The package itself is wrong, or asks for what devices like this one don't have.
APP: Final = frozenset(
    {
        "INSTALL_FAILED_INVALID_APK",
        "INSTALL_FAILED_NO_MATCHING_ABIS",
        "INSTALL_FAILED_CPU_ABI_INCOMPATIBLE",
        "INSTALL_FAILED_MULTI_ARCH_NOT_MATCH_ALL_NATIVE_ABIS",
        "INSTALL_FAILED_OLDER_SDK",
        "INSTALL_FAILED_NEWER_SDK",
        "INSTALL_FAILED_DEPRECATED_SDK_VERSION",
        "INSTALL_FAILED_MISSING_FEATURE",
        "INSTALL_FAILED_MISSING_SHARED_LIBRARY",
        "INSTALL_FAILED_SHARED_LIBRARY_BAD_CERTIFICATE_DIGEST",
        "INSTALL_FAILED_MISSING_SPLIT",
        "INSTALL_FAILED_MULTIPACKAGE_INCONSISTENCY",
        "INSTALL_FAILED_TEST_ONLY",
        "INSTALL_FAILED_VERSION_DOWNGRADE",
        "INSTALL_FAILED_BAD_DEX_METADATA",
        "INSTALL_FAILED_BAD_SIGNATURE",
        "INSTALL_FAILED_BAD_PERMISSION_GROUP",
        "INSTALL_FAILED_PROCESS_NOT_DEFINED",
        "INSTALL_FAILED_INSTANT_APP_INVALID",
        "INSTALL_PARSE_FAILED_NOT_APK",
        "INSTALL_PARSE_FAILED_BAD_MANIFEST",
        "INSTALL_PARSE_FAILED_NO_CERTIFICATES",
        "INSTALL_PARSE_FAILED_INCONSISTENT_CERTIFICATES",
        "INSTALL_PARSE_FAILED_CERTIFICATE_ENCODING",
        "INSTALL_PARSE_FAILED_BAD_PACKAGE_NAME",
        "INSTALL_PARSE_FAILED_BAD_SHARED_USER_ID",
        "INSTALL_PARSE_FAILED_MANIFEST_MALFORMED",
        "INSTALL_PARSE_FAILED_MANIFEST_EMPTY",
        "INSTALL_PARSE_FAILED_RESOURCES_ARSC_COMPRESSED",
        "INSTALL_PARSE_FAILED_SKIPPED",
    }
)
#: This device's state: its storage, other apps on it, its settings; or a service in it that failed.
DEVICE: Final = frozenset(
    {
        "INSTALL_FAILED_INSUFFICIENT_STORAGE",
        "INSTALL_FAILED_INTERNAL_ERROR",
        "INSTALL_FAILED_USER_RESTRICTED",
        "INSTALL_FAILED_ABORTED",
        "INSTALL_FAILED_ALREADY_EXISTS",
        "INSTALL_FAILED_INVALID_URI",
        "INSTALL_FAILED_DUPLICATE_PACKAGE",
        "INSTALL_FAILED_NO_SHARED_USER",
        "INSTALL_FAILED_SHARED_USER_INCOMPATIBLE",
        # The older app was removed before: what is in the way is the system's, or another user's of the device.
        "INSTALL_FAILED_UPDATE_INCOMPATIBLE",
        "INSTALL_FAILED_PERMISSION_MODEL_DOWNGRADE",
        "INSTALL_FAILED_SANDBOX_VERSION_DOWNGRADE",
        "INSTALL_FAILED_REPLACE_COULDNT_DELETE",
        "INSTALL_FAILED_DEXOPT",
        "INSTALL_FAILED_CONFLICTING_PROVIDER",
        "INSTALL_FAILED_DUPLICATE_PERMISSION",
        "INSTALL_FAILED_DUPLICATE_PERMISSION_GROUP",
        "INSTALL_FAILED_CONTAINER_ERROR",
        "INSTALL_FAILED_INVALID_INSTALL_LOCATION",
        "INSTALL_FAILED_MEDIA_UNAVAILABLE",
        "INSTALL_FAILED_VERIFICATION_TIMEOUT",
        "INSTALL_FAILED_VERIFICATION_FAILURE",
        "INSTALL_FAILED_REJECTED_BY_BUILDTYPE",
        "INSTALL_FAILED_PACKAGE_CHANGED",
        "INSTALL_FAILED_UID_CHANGED",
        "INSTALL_FAILED_OTHER_STAGED_SESSION_IN_PROGRESS",
        "INSTALL_FAILED_WRONG_INSTALLED_VERSION",
        "INSTALL_FAILED_SESSION_INVALID",
        "INSTALL_FAILED_PRE_APPROVAL_NOT_AVAILABLE",
        "INSTALL_ACTIVATION_FAILED",
        # A file that was damaged on its way to the device says so as well as one that is broken.
        "INSTALL_PARSE_FAILED_UNEXPECTED_EXCEPTION",
        "INSTALL_PARSE_FAILED_ONLY_COREAPP_ALLOWED",
    }
)
_CODE: Final = re.compile(r"INSTALL_[A-Z_]*[A-Z]")


def culprit(reason: str) -> Culprit:
    """Whose fault a failed install is, by what the device said (`INSTALL_FAILED_OLDER_SDK: Requires …`)."""
    found = _CODE.search(reason)
    return "app" if found and found[0] in APP else "device"
