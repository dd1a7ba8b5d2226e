"""Android's binary XML: reads and writes an APK's AndroidManifest.xml.

Formats are those of AOSP's frameworks/base/libs/androidfw/include/androidfw/ResourceTypes.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANDROID = "http://schemas.android.com/apk/res/android"

# android: attributes are found by these numbers, not by name, on a phone.
RESOURCE_IDS = {
    "label": 0x01010001,
    "name": 0x01010003,
    "exported": 0x01010010,
    "minSdkVersion": 0x0101020C,
    "versionCode": 0x0101021B,
    "versionName": 0x0101021C,
    "targetSdkVersion": 0x01010270,
}

STRING_POOL, TABLE, XML, RESOURCE_MAP = 0x0001, 0x0002, 0x0003, 0x0180
START_NAMESPACE, END_NAMESPACE, START_ELEMENT, END_ELEMENT = 0x0100, 0x0101, 0x0102, 0x0103
TYPE_STRING, TYPE_INT, TYPE_BOOL = 0x03, 0x10, 0x12
UTF8 = 0x100
NONE = 0xFFFFFFFF

Value = str | int | bool


class ManifestError(ValueError):
    """The bytes are no manifest that Android could read."""


@dataclass(frozen=True)
class Manifest:
    """What a package manager needs to know of an app."""

    package: str
    version_code: int = 1
    version_name: str = "1.0"
    min_sdk: int = 21
    target_sdk: int = 34
    label: str = ""
    activity: str = ""  # the one that a launcher starts; empty where the package has none
    permissions: tuple[str, ...] = ()

    @property
    def component(self) -> str:
        """The launchable activity as `am start -n` takes it."""
        return f"{self.package}/{self.activity}"


def write(m: Manifest) -> bytes:
    """The manifest as binary XML."""
    w = _Writer()
    w.start(
        "manifest", {"package": m.package}, {"versionCode": m.version_code, "versionName": m.version_name}
    )
    w.start("uses-sdk", {}, {"minSdkVersion": m.min_sdk, "targetSdkVersion": m.target_sdk})
    w.end("uses-sdk")
    for permission in m.permissions:
        w.start("uses-permission", {}, {"name": permission})
        w.end("uses-permission")
    w.start("application", {}, {"label": m.label})
    w.start("activity", {}, {"name": m.activity, "exported": True})
    w.start("intent-filter", {}, {})
    w.start("action", {}, {"name": "android.intent.action.MAIN"})
    w.end("action")
    w.start("category", {}, {"name": "android.intent.category.LAUNCHER"})
    w.end("category")
    for tag in ("intent-filter", "activity", "application", "manifest"):
        w.end(tag)
    return w.document()


def read(data: bytes) -> Manifest:
    """Reads binary XML.

    Raises ManifestError for anything else.
    """
    try:
        return _summary(_elements(data))
    except (struct.error, IndexError, UnicodeDecodeError) as e:
        raise ManifestError(f"not a binary AndroidManifest.xml: {e}") from e


def empty_resource_table() -> bytes:
    """A resources.arsc with nothing in it: aapt refuses an APK that has none."""
    pool = _string_pool([])
    return struct.pack("<HHII", TABLE, 12, 12 + len(pool), 0) + pool


def _summary(elements: Iterator[tuple[int, str, dict[str, Value]]]) -> Manifest:
    found: dict[str, Value] = {}
    activity, launcher = "", ""
    permissions: list[str] = []
    actions: set[str] = set()
    for _, tag, attributes in elements:
        name = str(attributes.get("name", ""))
        if tag == "manifest":
            found |= attributes
        elif tag == "uses-sdk":
            found |= {k: attributes[k] for k in ("minSdkVersion", "targetSdkVersion") if k in attributes}
        elif tag == "uses-permission":
            permissions.append(name)
        elif tag == "application":
            found["label"] = attributes.get("label", "")
        elif tag in ("activity", "activity-alias"):
            activity = name
        elif tag == "intent-filter":
            actions = set()
        elif tag in ("action", "category"):
            actions.add(name)
            if {"android.intent.action.MAIN", "android.intent.category.LAUNCHER"} <= actions:
                launcher = launcher or activity
    if not found.get("package"):
        raise ManifestError("the manifest names no package")
    package = str(found["package"])
    if launcher.startswith("."):
        launcher = package + launcher
    return Manifest(
        package=package,
        version_code=int(found.get("versionCode", 0)),
        version_name=str(found.get("versionName", "")),
        min_sdk=int(found.get("minSdkVersion", 1)),
        target_sdk=int(found.get("targetSdkVersion", 1)),
        label=str(found.get("label", "")),
        activity=launcher,
        permissions=tuple(permissions),
    )


def _elements(data: bytes) -> Iterator[tuple[int, str, dict[str, Value]]]:
    """Each start tag in order: its offset, name and attributes."""
    kind, header, _ = struct.unpack_from("<HHI", data)
    if kind != XML:
        raise ManifestError("no binary XML")
    strings: list[str] = []
    at = header
    while at + 8 <= len(data):
        kind, header, size = struct.unpack_from("<HHI", data, at)
        if size < 8:
            raise ManifestError("a chunk without size")
        if kind == STRING_POOL:
            strings = _read_string_pool(data, at)
        elif kind == START_ELEMENT:
            name, start, width, count = struct.unpack_from("<4xIHHH", data, at + header)
            attributes: dict[str, Value] = {}
            for i in range(count):
                base = at + header + start + width * i
                key, raw, value_type, value = struct.unpack_from("<4xII3xBI", data, base)
                if raw != NONE:
                    attributes[strings[key]] = strings[raw]
                elif value_type == TYPE_STRING:
                    attributes[strings[key]] = strings[value]
                else:
                    attributes[strings[key]] = bool(value) if value_type == TYPE_BOOL else value
            yield at, strings[name], attributes
        at += size


def _read_string_pool(data: bytes, at: int) -> list[str]:
    count, _, flags, start = struct.unpack_from("<IIII", data, at + 8)
    offsets = struct.unpack_from(f"<{count}I", data, at + 28)
    read_one = _read_utf8 if flags & UTF8 else _read_utf16
    return [read_one(data, at + start + offset) for offset in offsets]


def _read_utf8(data: bytes, at: int) -> str:
    at += 2 if data[at] & 0x80 else 1  # its length in UTF-16 units comes first
    size, width = data[at], 1
    if size & 0x80:
        size, width = (size & 0x7F) << 8 | data[at + 1], 2
    return data[at + width : at + width + size].decode("utf-8", "replace")


def _read_utf16(data: bytes, at: int) -> str:
    (size,) = struct.unpack_from("<H", data, at)
    return data[at + 2 : at + 2 + 2 * size].decode("utf-16le", "replace")


def _string_pool(strings: list[str]) -> bytes:
    body, offsets = b"", []
    for s in strings:
        offsets.append(len(body))
        body += struct.pack("<H", len(s.encode("utf-16le")) // 2) + s.encode("utf-16le") + b"\0\0"
    body += b"\0" * (-len(body) % 4)
    start = 28 + 4 * len(strings)
    head = struct.pack("<HHIIIIII", STRING_POOL, 28, start + len(body), len(strings), 0, 0, start, 0)
    return head + struct.pack(f"<{len(offsets)}I", *offsets) + body


class _Writer:
    """Collects the strings and tags of one document."""

    def __init__(self) -> None:
        # The names that have a resource id stand first in the pool, in the order of the resource map.
        self._strings = list(RESOURCE_IDS)
        self._body = b""
        self._node(START_NAMESPACE, struct.pack("<II", self._ref("android"), self._ref(ANDROID)))

    def start(self, tag: str, plain: dict[str, Value], android: dict[str, Value]) -> None:
        rows = [self._attribute(NONE, k, v) for k, v in plain.items()]
        ordered = sorted(android.items(), key=lambda item: RESOURCE_IDS[item[0]])
        rows += [self._attribute(self._ref(ANDROID), k, v) for k, v in ordered]
        head = struct.pack("<IIHHHHHH", NONE, self._ref(tag), 20, 20, len(rows), 0, 0, 0)
        self._node(START_ELEMENT, head + b"".join(rows))

    def end(self, tag: str) -> None:
        self._node(END_ELEMENT, struct.pack("<II", NONE, self._ref(tag)))

    def document(self) -> bytes:
        self._node(END_NAMESPACE, struct.pack("<II", self._ref("android"), self._ref(ANDROID)))
        ids = list(RESOURCE_IDS.values())
        resource_map = struct.pack(f"<HHI{len(ids)}I", RESOURCE_MAP, 8, 8 + 4 * len(ids), *ids)
        content = _string_pool(self._strings) + resource_map + self._body
        return struct.pack("<HHI", XML, 8, 8 + len(content)) + content

    def _attribute(self, namespace: int, name: str, value: Value) -> bytes:
        raw, value_type, number = NONE, TYPE_INT, 0
        if isinstance(value, str):
            raw = number = self._ref(value)
            value_type = TYPE_STRING
        elif isinstance(value, bool):
            value_type, number = TYPE_BOOL, NONE if value else 0
        else:
            number = value
        return struct.pack("<IIIHBBI", namespace, self._ref(name), raw, 8, 0, value_type, number)

    def _ref(self, s: str) -> int:
        if s not in self._strings:
            self._strings.append(s)
        return self._strings.index(s)

    def _node(self, kind: int, content: bytes) -> None:
        self._body += struct.pack("<HHIII", kind, 16, 16 + len(content), 1, NONE) + content
