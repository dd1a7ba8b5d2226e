"""What the UiAutomator2 server on the phone answers: a WebDriver endpoint over the screen of the app in front.

It has no socket of its own: adb's `forward` reaches it as stream `tcp:6790`, and HTTP is read from that stream.
"""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import gestures, selectors
from .selectors import SelectorError
from .wire import Stream, StreamClosed

if TYPE_CHECKING:
    from .app import App, Node
    from .device import AutomationSession, Device

PORT = 6790
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# One white pixel.
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_SIZE = {"x": 0, "y": 0, "width": 1080, "height": 2340}
_BACK = 4


class WebDriverError(Exception):
    """An error as the W3C's WebDriver names it."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message


@dataclass(frozen=True)
class _Call:
    """One command within a session."""

    device: Device
    session: AutomationSession
    app: App
    method: str
    body: dict[str, Any]

    def about(self, **more: Any) -> dict[str, Any]:
        return {"session": self.session.id, "client": self.session.client, **more}


async def serve(stream: Stream, device: Device) -> None:
    """Answers HTTP requests until the stream ends."""
    try:
        while True:
            method, path, body = await _read_request(stream)
            await device_answers(device)
            status, document = answer(device, method, path, body, client=stream.connection.client)
            await stream.write(_response(status, document))
    except (StreamClosed, ValueError):
        return


async def device_answers(device: Device) -> None:
    """Counts down to a fault that begins after some commands, and waits while the phone hangs.

    Raises StreamClosed where the server is killed meanwhile.
    """
    device.command_answered()
    await device.while_hanging()
    if (server := device.instrumentation) and server.hangs:
        await server.killed.wait()
        raise StreamClosed


def answer(
    device: Device, method: str, path: str, body: dict[str, Any], *, client: str
) -> tuple[int, dict[str, Any]]:
    """One WebDriver command: the HTTP status and the document."""
    path = path.removeprefix("/wd/hub").split("?")[0]
    m = re.fullmatch(r"/session/([^/]+)(/.*)?", path)
    session_id = m[1] if m else None
    try:
        if m:
            value = _command(device, method, m[1], m[2] or "", body)
        else:
            value = _outside_session(device, method, path, client)
            if path == "/session":
                session_id = value["sessionId"]
        status = 200
    except WebDriverError as e:
        status, value = e.status, {"error": e.error, "message": e.message, "stacktrace": ""}
    device.journal.routine("webdriver", method=method, path=path, status=status)
    return status, {"sessionId": session_id, "value": value}


def _outside_session(device: Device, method: str, path: str, client: str) -> Any:
    if path == "/status":
        return {"ready": True, "message": "UiAutomator2 Server is ready to accept commands"}
    if path == "/sessions":
        return [{"id": s.id} for s in [device.live_session] if s]
    if path == "/session" and method == "POST":
        session = device.open_session(client=client)
        return {"sessionId": session.id, "capabilities": {}}
    raise WebDriverError(404, "unknown command", f"{method} {path}")


def _command(device: Device, method: str, session_id: str, rest: str, body: dict[str, Any]) -> Any:
    session = device.live_session
    if session is None or session.id != session_id:
        raise WebDriverError(404, "invalid session id", "A session is either terminated or not started")
    session.commands += 1
    if method == "DELETE" and rest in ("", "/"):
        device.end_session(session, "closed")
        return None
    app = device.front
    session.app = app.package
    call = _Call(device, session, app, method, body)
    if rest in ("/element", "/elements"):
        return _find(app, body, all_of_them=rest == "/elements")
    if m := re.fullmatch(r"/element/([\w-]+\.\d+)/([\w/-]+)", rest):
        return _element(call, _node(app, m[1]), m[2])
    return _screen(call, rest)


def _find(app: App, body: dict[str, Any], *, all_of_them: bool) -> Any:
    strategy = body.get("strategy") or body.get("using") or ""
    selector = body.get("selector") or body.get("value") or ""
    try:
        found = selectors.find(app.hierarchy(), strategy, selector)
    except SelectorError as e:
        raise WebDriverError(400, "invalid selector", str(e)) from e
    # An element is known by its screen and its place there: on another screen it is stale.
    ids = [f"{app.screen}.{i}" for i in found]
    elements = [{ELEMENT: i, "ELEMENT": i} for i in ids]
    if all_of_them:
        return elements
    if not elements:
        raise WebDriverError(
            404,
            "no such element",
            "An element could not be located on the page using the given search parameters",
        )
    return elements[0]


def _node(app: App, element: str) -> Node:
    nodes = app.nodes()
    screen, index = element.rsplit(".", 1)[0], int(element.rsplit(".", 1)[1])
    if screen != app.screen or index >= len(nodes):
        raise WebDriverError(404, "stale element reference", "The element does not exist in DOM anymore")
    return nodes[index]


def _element(call: _Call, node: Node, what: str) -> Any:
    app = call.app
    about = call.about(element=node.get("id") or node.get("text", ""))
    seen = app.hierarchy()[app.nodes().index(node)]
    if what == "click":
        call.device.journal.note("tap", **about)
        _tap(call.device, app, node)
        return None
    if what == "value":
        text = call.body.get("text", "")
        call.device.journal.note("type", **about, characters=len(text))
        app.type(node, text)
        return None
    if what == "clear":
        app.clear(node)
        return None
    if what == "text":
        return seen.get("text")
    if what in ("displayed", "enabled", "selected"):
        return what != "selected"
    if what == "name":
        return seen.get("content-desc")
    if what == "screenshot":
        return base64.b64encode(_PNG).decode()
    if what == "rect":
        left, top, right, bottom = _bounds(seen)
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}
    if m := re.fullmatch(r"attribute/([\w-]+)", what):
        names = {"contentDescription": "content-desc", "resourceId": "resource-id", "className": "class"}
        return seen.get(names.get(m[1], m[1]))
    raise WebDriverError(404, "unknown command", f"element/{what} is not simulated")


def _bounds(seen: ET.Element) -> tuple[int, int, int, int]:
    """Left, top, right and bottom."""
    left, top, right, bottom = map(int, re.findall(r"\d+", seen.get("bounds", "")))
    return left, top, right, bottom


def _centre(app: App, element: str) -> tuple[float, float]:
    left, top, right, bottom = _bounds(app.hierarchy()[app.nodes().index(_node(app, element))])
    return (left + right) / 2, (top + bottom) / 2


def _tap(device: Device, app: App, node: Node | None) -> None:
    """What the app logs of it, and what it does."""
    if node is None:
        return
    name = node.get("id") or app.text(node)
    device.logcat.write("App", f"tap on {name}", pid=device.processes.get(app.package, 0))
    app.tap(node)
    if why := node.get("crash"):
        device.crash(app.package, str(why))


def _screen(call: _Call, rest: str) -> Any:
    app, body, device = call.app, call.body, call.device
    if rest == "/screenshot":
        return base64.b64encode(_PNG).decode()
    if rest == "/source":
        return ET.tostring(app.hierarchy(), encoding="unicode")
    if rest == "/back" or (rest.startswith("/appium/device/press_keycode") and body.get("keycode") == _BACK):
        app.back()
        return None
    if rest == "/actions" and call.method == "POST":
        keys = [
            a for source in body.get("actions", []) if source.get("type") == "key" for a in source["actions"]
        ]
        app.type_focused("".join(a["value"] for a in keys if a["type"] == "keyDown"))
        for x, y in gestures.taps(body.get("actions", []), lambda element: _centre(app, element)):
            device.journal.note("tap", **call.about(at={"x": x, "y": y}))
            _tap(device, app, app.node_at(y))
        return None
    if rest == "/appium/gestures/click":
        offset = body.get("offset") or {}
        device.journal.note("tap", **call.about(at=offset))
        _tap(device, app, app.node_at(float(offset.get("y", 0))))
        return None
    if rest.startswith("/window"):
        return _SIZE
    if rest == "/orientation":
        return "PORTRAIT"
    if rest == "/appium/device/pixel_ratio":
        return 2.625
    if rest == "/appium/device/system_bars":
        return {"statusBar": 60}
    if rest == "/appium/device/info":
        return {
            "androidId": device.properties["ro.serialno"],
            "apiVersion": device.properties["ro.build.version.sdk"],
            "platformVersion": device.properties["ro.build.version.release"],
            "model": device.properties["ro.product.model"],
            "manufacturer": device.properties["ro.product.manufacturer"],
            "brand": "simulated",
            "realDisplaySize": "1080x2340",
            "displayDensity": 420,
        }
    return {} if call.method == "GET" else None


async def _read_request(stream: Stream) -> tuple[str, str, dict[str, Any]]:
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += await stream.read_exactly(1)
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    if "chunked" in headers.get("transfer-encoding", ""):
        raw = await _read_chunks(stream)
    else:
        raw = await stream.read_exactly(int(headers.get("content-length") or 0))
    return method, path, json.loads(raw) if raw else {}


async def _read_chunks(stream: Stream) -> bytes:
    async def line() -> bytes:
        found = bytearray()
        while not found.endswith(b"\r\n"):
            found += await stream.read_exactly(1)
        return bytes(found[:-2])

    content = bytearray()
    while size := int((await line()).split(b";")[0], 16):
        content += await stream.read_exactly(size)
        await line()
    await line()
    return bytes(content)


def _response(status: int, document: dict[str, Any]) -> bytes:
    data = json.dumps(document).encode()
    return (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data
