"""The phone itself: packages, processes, the app in front, and who is automating it."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import apk
from .app import App
from .faults import Fault
from .logcat import Logcat
from .manifest import ManifestError
from .packages import SDK, PackageManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from .journal import Journal

HELPERS = "io.appium."
AUTOMATION = "io.appium.uiautomator2.server"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
LAUNCHER = "com.android.launcher/.Launcher"
#: Of 64 GB.
FREE_MEGABYTES = 32_000
DEFAULT_INSTALL_FAILURE = "INSTALL_FAILED_INSUFFICIENT_STORAGE"
SYSTEM_SERVER = "system_server"
NO_PACKAGE_SERVICE = "cmd: Can't find service: package\n"


@dataclass
class AutomationSession:
    """One WebDriver session on the phone: a test, for whom asks what ran when."""

    id: str
    client: str
    began: float
    app: str = ""
    commands: int = 0
    ended: float | None = None
    reason: str = ""


@dataclass
class Instrumentation:
    """A running UiAutomator2 server. There is one at most: starting another kills it, as Android does."""

    client: str
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    hangs: bool = False


class Device:
    """State shared by all connections. Everything runs in one event loop, so nothing here is locked."""

    def __init__(
        self,
        journal: Journal,
        *,
        serial: str = "sim0001",
        boot_seconds: float = 0,
        install_seconds: float = 0,
    ) -> None:
        self.journal = journal
        self.logcat = Logcat()
        self.packages = PackageManager(journal)
        self.files: dict[str, bytes] = {BOOT_ID: _new_boot_id()}
        self.settings: dict[tuple[str, str], str] = {}
        self.processes: dict[str, int] = {}
        self.apps: dict[str, App] = {}
        self.focus = LAUNCHER
        self.sessions: list[AutomationSession] = []
        self.instrumentation: Instrumentation | None = None
        self.fault = Fault()
        #: Called when a fault begins: whoever listens for adb drops its connections then.
        self.on_fault: Callable[[Fault], None] = lambda _: None
        self._pending: Fault | None = None
        self._answering = asyncio.Event()
        self._answering.set()
        self.listens_at = self.online_at = time.monotonic()
        self.manages_packages_at = self.booted_at = time.monotonic() + boot_seconds
        self.install_seconds = install_seconds
        self.properties = {
            "ro.build.version.sdk": str(SDK),
            "ro.build.version.release": "14",
            "ro.build.version.codename": "REL",
            "ro.product.model": "Simulated Phone",
            "ro.product.manufacturer": "qgjob",
            "ro.product.name": "simulated",
            "ro.product.device": "simulated",
            "ro.product.cpu.abi": "x86_64",
            "ro.product.cpu.abilist": "x86_64",
            "ro.serialno": serial,
            "persist.sys.locale": "en-US",
            "persist.sys.timezone": "UTC",
            "init.svc.bootanim": "stopped",
        }
        self._last_pid = 4000
        self._spawn(SYSTEM_SERVER)

    @property
    def booted(self) -> bool:
        return time.monotonic() >= self.booted_at

    @property
    def manages_packages(self) -> bool:
        return time.monotonic() >= self.manages_packages_at and self.fault.kind != "no-packages"

    def get_property(self, name: str) -> str:
        if name in ("sys.boot_completed", "dev.bootcomplete"):
            return "1" if self.booted else ""
        return self.properties.get(name, "")

    # ---- apps

    @property
    def free_megabytes(self) -> int:
        return int(self.fault.detail or 0) if self.fault.kind == "storage-full" else FREE_MEGABYTES

    async def while_installing(self, data: bytes) -> None:
        """Returns when the phone has worked on an app for as long as it takes; Appium's helpers are small."""
        with suppress(ManifestError):
            if not apk.read(data).manifest.package.startswith(HELPERS):
                await asyncio.sleep(self.install_seconds)

    def install(self, data: bytes, *, client: str, downgrade: bool = False, grant: bool = False) -> str:
        if not self.manages_packages:
            return NO_PACKAGE_SERVICE
        refuse = ""
        if self.fault.kind in ("install", "storage-full"):
            own = self.fault.detail if self.fault.kind == "install" else ""
            refuse = own or DEFAULT_INSTALL_FAILURE
        answer = self.packages.install(data, client=client, refuse=refuse, downgrade=downgrade, grant=grant)
        self.logcat.write("PackageManager", f"installation: {answer.strip()}")
        return answer

    def start(self, component: str, *, client: str, stop_first: bool) -> bool:
        """Starts an activity; False where its package is not installed."""
        name, _, activity = component.partition("/")
        package = self.packages.installed.get(name)
        if package is None:
            return False
        if stop_first:
            self.stop(name)
        self.focus = f"{name}/{activity or package.manifest.activity}"
        if name not in self.processes:
            self._spawn(name)
            if package.screens is not None:
                self.apps[name] = App(name, package.screens, package.data)
                self.journal.note(
                    "app-start", package=name, version=package.manifest.version_name, client=client
                )
            self.logcat.write(
                "ActivityManager", f"Start proc {self.processes[name]}:{name}/u0a100 for activity"
            )
        self.logcat.write("ActivityTaskManager", f"START u0 {{cmp={component}}}")
        return True

    def stop(self, name: str, *, client: str = "") -> None:
        """Ends a package's process, the UiAutomator2 server's too."""
        if pid := self.processes.pop(name, None):
            self.logcat.write("ActivityManager", f"Killing {pid}:{name}/u0a100: stop {name}")
        self.apps.pop(name, None)
        if self.focus.startswith(name + "/"):
            self.focus = LAUNCHER
        if name == AUTOMATION:
            self._end_instrumentation("killed", client)

    def crash(self, name: str, why: str) -> None:
        """The app's own process ends with an exception that nobody caught."""
        pid = self.processes.get(name, 0)
        trace = (
            f"FATAL EXCEPTION: main\nProcess: {name}, PID: {pid}\njava.lang.RuntimeException: {why}\n"
            "\tat android.view.View.performClick(View.java:7506)"
        )
        self.journal.note("crash", package=name, why=why)
        self.logcat.write("AndroidRuntime", trace, level="E", pid=pid)
        self.stop(name)

    def clear(self, name: str, *, client: str) -> bool:
        self.stop(name, client=client)
        return self.packages.clear(name, client=client)

    def uninstall(self, name: str, *, client: str) -> bool:
        self.stop(name, client=client)
        return self.packages.uninstall(name, client=client)

    @property
    def front(self) -> App:
        """The app that is on the screen; an empty one where the launcher is."""
        name = self.focus.split("/")[0]
        return self.apps.get(name) or App(name, None, {})

    # ---- automation

    def instrument(self, *, client: str) -> Instrumentation | None:
        """Starts the UiAutomator2 server; None where it is not installed."""
        if not {AUTOMATION, AUTOMATION + ".test"} <= self.packages.installed.keys():
            return None
        self._end_instrumentation("killed", client)
        self._spawn(AUTOMATION)
        self.instrumentation = Instrumentation(client)
        return self.instrumentation

    def instrumentation_lost(self, which: Instrumentation, why: str) -> None:
        """Its `am instrument` is over: the client closed it, or is gone."""
        if which is self.instrumentation:
            self._end_instrumentation(why, which.client)

    @property
    def live_session(self) -> AutomationSession | None:
        last = self.sessions[-1] if self.sessions else None
        return last if last and last.ended is None else None

    def open_session(self, *, client: str) -> AutomationSession:
        if live := self.live_session:
            self._overlap(live, client)
            self.end_session(live, "replaced")
        session = AutomationSession(uuid.uuid4().hex, client, time.time(), self.focus.split("/")[0])
        self.sessions.append(session)
        self.journal.note("session-start", session=session.id, client=client)
        return session

    def end_session(self, session: AutomationSession, reason: str) -> None:
        if session.ended is None:
            session.ended, session.reason = time.time(), reason
            self.journal.note(
                "session-end",
                session=session.id,
                client=session.client,
                reason=reason,
                app=session.app,
                commands=session.commands,
                seconds=round(session.ended - session.began, 3),
            )

    # ---- faults

    def set_fault(self, fault: Fault) -> None:
        """Makes something go wrong from now on (or after some commands); `none` heals."""
        self._pending, now = (fault, None) if fault.after else (None, fault)
        self.journal.note("fault", kind=fault.kind, detail=fault.detail, after=fault.after)
        if now is not None:
            self._begin(now)

    def command_answered(self) -> None:
        """Counts down to a fault that begins after some UiAutomator2 commands."""
        if self._pending is None:
            return
        self._pending = replace(self._pending, after=self._pending.after - 1)
        if self._pending.after < 0:
            fault, self._pending = self._pending, None
            self._begin(fault)

    async def while_hanging(self) -> None:
        """Returns when the phone answers: at once, if it does not hang."""
        await self._answering.wait()
        await asyncio.sleep(self.online_at - time.monotonic())

    def _begin(self, fault: Fault) -> None:
        self.fault = fault
        if fault.kind == "hang":
            self._answering.clear()
        else:
            self._answering.set()
        if fault.kind == "ui-hang" and self.instrumentation:
            self.instrumentation.hangs = True
        if fault.kind == "slow-boot":
            self.manages_packages_at = self.booted_at = time.monotonic() + float(fault.detail or 30)
        if fault.kind == "boot":
            quarter = float(fault.detail or 30) / 4
            self.listens_at, self.online_at, self.booted_at, self.manages_packages_at = (
                time.monotonic() + number * quarter for number in range(1, 5)
            )
        if fault.kind in ("vanish", "reboot") and (live := self.live_session):
            self.end_session(live, "vanished")
        if fault.kind == "reboot":
            self._restart_system()
            self.files[BOOT_ID] = _new_boot_id()
        if fault.kind == "no-packages":
            self._restart_system()
        self.on_fault(fault)

    def state(self) -> dict[str, Any]:
        """What GET /state answers."""
        counts = self.journal.counts
        return {
            "serial": self.properties["ro.serialno"],
            "booted": self.booted,
            "fault": self.fault.kind,
            "focus": self.focus,
            "installs": self.packages.install_counts,
            "sessions": counts["session-start"],
            "overlaps": counts["overlap"],
            "taps": counts["tap"],
            "live_session": self.live_session.id if self.live_session else None,
            "packages": {
                name: {
                    "version": p.manifest.version_name,
                    "sha256": p.sha256,
                    "data": p.data,
                    "granted": sorted(p.granted),
                }
                for name, p in self.packages.installed.items()
            },
        }

    def _restart_system(self) -> None:
        """Every process ends, and the system's begins anew; what is installed, and its data, stay."""
        for name in list(self.processes):
            self.stop(name)
        self._spawn(SYSTEM_SERVER)

    def _spawn(self, name: str) -> None:
        self._last_pid += 1
        self.processes[name] = self._last_pid

    def _end_instrumentation(self, why: str, client: str) -> None:
        running, self.instrumentation = self.instrumentation, None
        if running is None:
            return
        if live := self.live_session:
            if client and client != live.client:
                # Another adb server takes the phone away from a test that still runs.
                self._overlap(live, client)
            self.end_session(live, why)
        self.processes.pop(AUTOMATION, None)
        running.killed.set()

    def _overlap(self, live: AutomationSession, client: str) -> None:
        self.journal.note("overlap", session=live.id, client=live.client, intruder=client)


def _new_boot_id() -> bytes:
    return f"{uuid.uuid4()}\n".encode()
