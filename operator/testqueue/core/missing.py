"""What the kubelet says of a Secret that is not there, in words that tell a person what to do."""

from __future__ import annotations

import re
from typing import Final

_MISSING: Final = re.compile(r'(secret|configmap|persistentvolumeclaim) "([^"]+)" not found', re.IGNORECASE)
_KINDS: Final = {
    "secret": ("SecretNotFound", "Secret"),
    "configmap": ("ConfigMapNotFound", "ConfigMap"),
    "persistentvolumeclaim": ("ClaimNotFound", "PersistentVolumeClaim"),
}
_NO_KEY: Final = re.compile(r"couldn't find key (\S+) in Secret (\S+)/(\S+)")


def in_words(reason: str, said: str, namespace: str) -> tuple[str, str]:
    """A CamelCase reason and a message; the same as they were where nothing is missing."""
    if missing := _MISSING.search(said):
        reason, kind = _KINDS[missing[1].lower()]
        return reason, (
            f"there is no {kind} {missing[2]} in namespace {namespace}, which the TestTarget names: "
            "create it, and the pod starts by itself"
        )
    if key := _NO_KEY.search(said):
        return "SecretKeyNotFound", (
            f"the Secret {key[3]}, which the TestTarget names, has no key {key[1]}: "
            "add it, and the pod starts by itself"
        )
    return reason, said
