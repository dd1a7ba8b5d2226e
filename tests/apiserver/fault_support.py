"""One operator, one node, one phone and one cloud for many faults: what is broken, and what must hold afterwards."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from hack.phone import apps
from qgjob.api.constants import MAX_MESSAGE_BYTES, TEST_BATCHES, TEST_TARGETS
from tests.apiserver.operator_support import OperatorProcess
from tests.apiserver.runner_support import World, eventually

if TYPE_CHECKING:
    from tests.apiserver.node import Node
    from tests.e2e.appwright.support import SimulatedPhone
    from tests.unit.browserstack_support import Running

Object = dict[str, Any]
FINAL = {"Succeeded", "DeadLettered", "Cancelled"}
APP = "org.example.shop"
USERNAME, ACCESS_KEY = "team-of-the-shop", "key-that-nobody-may-read"
#: Time enough to heal what was broken before it is tried again; and two tries more.
RETRY = {"backoffSeconds": 1, "factor": 1, "infrastructureRetries": 2}
_NOT_FOR_PEOPLE = re.compile(
    r"Traceback|File \"|/tmp/|/proc/|0x[0-9a-f]{6}|\bNone\b|<[\w.]+ object|\bErrno\b"
)


@dataclass(frozen=True)
class End:
    """What one TestJob must come to."""

    phase: str = "Succeeded"
    failures: int = 0
    infrastructure: int = 0
    #: Words of its status, or of one of its attempts.
    words: str = ""
    reason: str = ""


WELL = End()


def charged(words: str, times: int = 1) -> End:
    """It passed at last; what went wrong before was not its fault."""
    return End(infrastructure=times, words=words)


def mistake(words: str, reason: str) -> End:
    """The submitter's: no retry can help, so none is spent."""
    return End("DeadLettered", words=words, reason=reason)


class Scene:
    """What all faults share."""

    def __init__(self, world: World, phone: SimulatedPhone, cloud: Running, builds: Builds) -> None:
        self.world = world
        self.phone = phone
        self.cloud = cloud
        self.builds = builds
        self.node: Node
        self.operator: OperatorProcess
        self._trials = 0
        bucket = world.folder / "secrets" / "artifacts-s3"
        bucket.mkdir(parents=True)
        for key in ("accessKeyId", "secretAccessKey"):
            (bucket / key).write_text(ACCESS_KEY)

    def env(self, target: str) -> dict[str, str]:
        """What a pod of a target is given."""
        return {
            "BROWSERSTACK_USERNAME": USERNAME,
            "BROWSERSTACK_ACCESS_KEY": ACCESS_KEY,
            "QGJOB_SECRETS_DIR": str(self.world.folder / "secrets"),
        }

    def kill_operator(self) -> None:
        """SIGKILL, and another one in its place."""
        self.operator.kill()
        self.operator = OperatorProcess(self.world)
        self.operator.wait_until_it_leads()

    def begin(self) -> Trial:
        """A trial of its own: all is well with phone and cloud."""
        self._trials += 1
        return Trial(self, f"t{self._trials}", f"1.{self._trials}.0")


class Trial:
    """A target with three TestJobs, `one`, `two` and `three`, that share a batch and run in this order."""

    def __init__(self, scene: Scene, target: str, version: str) -> None:
        self.scene, self.target, self.version = scene, target, version
        self.world, self.phone, self.cloud = scene.world, scene.phone, scene.cloud
        self.folder = scene.world.folder / target
        self._source = self.folder / "source" / "tests"
        self._source.mkdir(parents=True)
        self._installs = self.phone.installs()
        self._uploads = self.cloud.count("upload")
        self._sessions = self.cloud.count("session-open")
        self._events = len(self.cloud.cloud.journal.events)

    # ---- what is done

    def on_phone(self, script: str, *, install: str = "", clear: str = "", **spec: Any) -> None:
        """Have a target on the phone. `script` is the test of `two` (see `submit`), in a shell."""
        driver = {
            "name": "command",
            "command": {
                "install": ["sh", "-c", install or 'adb install -r -g -t "$QGJOB_APP_PATH"'],
                "clear": ["sh", "-c", clear or f"adb shell pm clear {APP}"],
                "test": ["sh", "-c", self._script(script)],
                "graceSeconds": 2,
            },
        }
        devices = [{"name": "pixel", "address": self.phone.address}]
        self._prepare({"devices": devices}, driver, **spec)

    def on_cloud(self, test: list[str], **spec: Any) -> None:
        """Have a target at BrowserStack; all three run the same test."""
        provider = self.cloud.provider().to_wire()
        driver = {"name": "command", "command": {"test": test, "graceSeconds": 2}}
        self._prepare({"browserstack": provider}, driver, parallelism=1, **spec)

    def submit(self, *names: str, **spec: Any) -> None:
        """Submit them, and then create their target, so that one batch has them all; the first one runs first."""
        for number, name in enumerate(names or ("one", "two", "three")):
            test = f"tests/{name}.spec.ts"
            (self._source.parent / test).write_text("")
            own = {"maxRetries": 1, "priority": 9 - number, **spec}
            self.world.job(self.job(name), target=self.target, appVersionId=self.version, test=test, **own)
        self.world.target(self.target, **self._spec)

    def job(self, name: str) -> str:
        """The TestJob's full name."""
        return f"{self.target}-{name}"

    def reached(self, mark: str) -> None:
        """Wait until a script has made its mark."""
        eventually((self.folder / mark).exists, self.explain)

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until its runners have said something."""
        eventually(lambda: self.log().count(text) >= times, self.explain)

    def broken_once(self) -> None:
        """Wait until an attempt did not pass."""
        eventually(
            lambda: any(
                attempt["outcome"] != "passed"
                for status in self.statuses().values()
                for attempt in status["attempts"]
            ),
            self.explain,
        )

    # ---- what has come of it

    def log(self) -> str:
        """What its runners have said."""
        return self.scene.node.log(self.target)

    def explain(self) -> str:
        """For whoever reads a failed test."""
        attempts = [
            f"{name} {status['phase']}: {each['number']} {each['outcome']} {each['batch']} {each.get('message', '')}"
            for name, status in self.statuses().items()
            for each in status["attempts"] or [{"number": 0, "outcome": "", "batch": status["batch"]}]
        ]
        return "\n".join([*attempts, self.log()])

    def statuses(self) -> dict[str, Object]:
        """Of its TestJobs, by short name."""
        return {
            each["metadata"]["name"].removeprefix(f"{self.target}-"): each["status"]
            for each in self.world.client.list("testjobs")
            if each["spec"]["target"] == self.target
        }

    def batches(self) -> list[Object]:
        return [
            each for each in self.world.client.list(TEST_BATCHES) if each["spec"]["target"] == self.target
        ]

    def ends(self, **expected: End) -> None:
        """Wait for the end of all; each came to what was expected, and nothing is left."""
        self.settles(**expected)
        self.leaves_nothing()

    def settles(self, **expected: End) -> None:
        """Wait for the end of all; each came to what was expected, and no device is busy."""
        eventually(lambda: {each["phase"] for each in self.statuses().values()} <= FINAL, self.explain)
        found = self.statuses()
        for name, end in expected.items():
            status = found[name]
            came_to = (status["phase"], status["failures"], status["infrastructureFailures"])
            assert came_to == (end.phase, end.failures, end.infrastructure), f"{name}\n{self.explain()}"
            said = "\n".join([status["message"], *(each.get("message", "") for each in status["attempts"])])
            assert re.search(end.words, said), f"{name}: {end.words}\n{self.explain()}"
            assert end.reason in ("", status["reason"]), f"{name}\n{self.explain()}"
        assert set(found) == set(expected)
        self._says_it_plainly(found)

        def leases() -> list[Object]:
            devices: list[Object] = self.world.client.get(TEST_TARGETS, self.target)["status"]["devices"]
            return [each for each in devices if each["batch"]]

        eventually(lambda: not leases(), self.explain)

    def leaves_nothing(self) -> None:
        """Wait until its pods have ended: no process is left, and no session is open."""
        pods = self.scene.node.pods(self.target)
        eventually(lambda: all(pod.reported for pod in pods), self.log)
        assert [pod.left_behind for pod in pods if pod.left_behind] == [], self.log()
        assert self.cloud.cloud.state()["open"] == [], self.log()

    @property
    def installs(self) -> int:
        """As the phone counts them."""
        return self.phone.installs() - self._installs

    @property
    def uploads(self) -> int:
        """As the cloud counts them."""
        return self.cloud.count("upload") - self._uploads

    @property
    def sessions(self) -> int:
        return self.cloud.count("session-open") - self._sessions

    @property
    def session_events(self) -> list[str]:
        """What became of the sessions, in the order in which the cloud saw it."""
        events = [each["event"] for each in list(self.cloud.cloud.journal.events)[self._events :]]
        return [event for event in events if event in ("session-open", "session-end")]

    def _says_it_plainly(self, found: dict[str, Object]) -> None:
        words = [
            str(each.get("message") or "")
            for status in found.values()
            for each in (status, *status["attempts"])
        ]
        words += [str(each["status"].get("message") or "") for each in self.batches()]
        for said in words:
            assert not _NOT_FOR_PEOPLE.search(said), said
            assert str(self.world.folder) not in said, said
            assert len(said.encode()) <= MAX_MESSAGE_BYTES, said
            assert not said or " " in said, said
        everything = self.log() + str(found) + str(self.batches())
        assert ACCESS_KEY not in everything
        # Nobody is left without a word.
        for status in found.values():
            assert all(each["outcome"] == "passed" or each["message"] for each in status["attempts"]), status

    def _prepare(self, provider: Object, driver: Object, **spec: Any) -> None:
        spec.setdefault("app", {"url": f"{self.scene.builds.url}/good/{{appVersionId}}.apk"})
        timeouts = {"installSeconds": 30, "testSeconds": 30, "fenceSeconds": 3, "startSeconds": 60}
        self._spec = dict(
            provider=provider,
            driver=driver,
            source={"image": {"path": str(self._source.parent)}},
            retry={**RETRY, **spec.pop("retry", {})},
            timeouts={**timeouts, **spec.pop("timeouts", {})},
            health={"failures": 2, "backoffSeconds": 1},
            env=[{"name": "MARKS", "value": str(self.folder)}, {"name": "VICTIM", "value": self.job("two")}],
            **spec,
        )

    def _script(self, victim: str) -> str:
        """Each test looks at the app; what `two` does else, it does in its first run only."""
        begin = f'adb shell am start -W -n {APP}/.MainActivity | grep -q "Status: ok" || exit 1; '
        own = f'if [ "$QGJOB_JOB_ID-$QGJOB_ATTEMPT" = "$VICTIM-1" ]; then {victim or ":"}; fi; '
        return (
            begin
            + own
            + """echo '<testsuite><testcase name="a"/></testsuite>' > "$QGJOB_REPORT_DIR/r.xml" """
        )


class Builds:
    """Serves app packages, each path in its own bad way: /WAY/VERSION.apk. As a store it takes nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        builds = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, way, name = self.path.split("/", 2)
                builds.asked.append(self.path)
                builds._answer(self, way, name.removesuffix(".apk"))

            def do_PUT(self) -> None:
                self.close_connection = True
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._over = threading.Event()

    def times(self, way: str) -> int:
        """How often a way was gone."""
        return sum(path.startswith(f"/{way}/") for path in self.asked)

    def _answer(self, to: BaseHTTPRequestHandler, way: str, version: str) -> None:
        content = apps.package(version) or b""
        first = self.times(way) == 1
        if way.isdigit() or (way == "first-500" and first):
            to.send_error(int(way) if way.isdigit() else 500)
            return
        if way in ("silent", "reset"):
            self._over.wait(60 if way == "silent" else 0)
            return
        if way == "sha256":
            content = b"0" * 64
        to.send_response(200)
        to.send_header("Content-Length", str(len(content)))
        to.end_headers()
        cut = (way == "first-cut" and first) or way == "cut"
        to.wfile.write(content[: len(content) // 2] if cut else content)

    def __enter__(self) -> Builds:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
