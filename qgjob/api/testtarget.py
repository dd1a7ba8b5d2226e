"""TestTarget: a pool of like devices, and how to use it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import ApiModel, Column, Rule, matching, schema
from .constants import MAX_BATCH_TESTS
from .source import Source
from .testjob import Condition, Conditions, EnvVar, Outcome

__all__ = ["Condition", "TestTarget", "TestTargetSpec", "TestTargetStatus"]

Seconds = Annotated[int, Field(ge=1, le=604800)]
PreservedObject = Annotated[
    dict[str, Any], Field(json_schema_extra=schema(x_kubernetes_preserve_unknown_fields=True))
]


class Device(ApiModel):
    """One phone or emulator that adb reaches over the network."""

    name: Annotated[
        str,
        matching(
            r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "must be lower-case letters and digits, with '-' or '.' between them",
            max_length=63,
        ),
    ]
    address: Annotated[
        str,
        matching(
            r"^[^\s:]+:[0-9]{1,5}$",
            "must be host:port of the device's adb daemon, such as 10.0.0.7:5555",
            max_length=255,
            description="host:port of its adb daemon.",
        ),
    ]


class NoDevice(ApiModel):
    """No device is leased: the driver needs none, or finds its own."""


class Provider(ApiModel):
    """Exactly one way to get a device."""

    devices: Annotated[
        list[Device] | None,
        Field(
            min_length=1,
            max_length=500,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Phones or emulators that adb reaches.",
        ),
    ] = None
    none: Annotated[NoDevice | None, Field(description="The driver needs no device.")] = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.devices) != has(self.none)", "provider needs exactly one of devices, none"),
    )


class AppWrightSettings(ApiModel):
    """The `appwright` driver's settings."""

    config: Annotated[
        str,
        Field(
            max_length=512,
            description="The project's Playwright configuration, relative to the source; "
            "one of the runner's own is used where the project has none.",
        ),
    ] = "appwright.config.ts"
    project: Annotated[
        str | None,
        Field(max_length=128, description="Playwright project to run, where the configuration has several."),
    ] = None
    app_package: Annotated[
        str | None,
        Field(max_length=255, description="Android package of the app; found in the APK where not given."),
    ] = None
    app_activity: Annotated[
        str | None, Field(max_length=255, description="Activity to start; found in the APK where not given.")
    ] = None


class CommandSettings(ApiModel):
    """The `command` driver's settings: any framework that writes JUnit XML.

    Each command is an argument list. Its process has QGJOB_APP_PATH, QGJOB_APP_VERSION_ID, QGJOB_DEVICE (name),
    ANDROID_SERIAL (address), QGJOB_TEST, QGJOB_ATTEMPT, QGJOB_FAILURES and QGJOB_REPORT_DIR in its environment.
    """

    install: Annotated[
        list[str],
        Field(max_length=64, description="Installs the app once per batch; empty: nothing to install."),
    ] = []
    test: Annotated[
        list[str], Field(min_length=1, max_length=64, description="Runs one TestJob's test file.")
    ]
    clear: Annotated[
        list[str], Field(max_length=64, description="Clears the app's state between tests; empty: nothing.")
    ] = []
    junit: Annotated[
        str, Field(max_length=512, description="Glob of the JUnit XML files, below QGJOB_REPORT_DIR.")
    ] = "*.xml"
    infrastructure_exit_codes: Annotated[
        list[Annotated[int, Field(ge=1, le=255)]],
        Field(max_length=32, description="Exit codes that mean an infrastructure failure."),
    ] = []
    infrastructure_patterns: Annotated[
        list[Annotated[str, Field(max_length=512)]],
        Field(
            max_length=64,
            description="Regular expressions (Python) that mark a failure's output as infrastructure.",
        ),
    ] = []
    stop_signal: Annotated[
        Literal["SIGINT", "SIGTERM"], Field(description="Asks the test's process to stop.")
    ] = "SIGINT"
    grace_seconds: Annotated[
        int, Field(ge=0, le=600, description="Seconds between the stop signal and SIGKILL.")
    ] = 10


class SimulatedOutcome(ApiModel):
    """What the simulated tests whose path matches come to."""

    test: Annotated[
        str, Field(min_length=1, max_length=512, description="Shell-style pattern over the TestJob's test.")
    ]
    outcomes: Annotated[
        list[Outcome],
        Field(
            min_length=1,
            max_length=32,
            description="By run of the TestJob: first, second, …; the last one repeats.",
        ),
    ]
    message: Annotated[str, Field(max_length=512)] = ""
    seconds: Annotated[float | None, Field(ge=0, le=86400)] = None


class SimulateSettings(ApiModel):
    """The `simulate` driver's settings: no device, no app, chosen outcomes. For trying the queue."""

    install_seconds: Annotated[float, Field(ge=0, le=86400)] = 10.0
    test_seconds: Annotated[float, Field(ge=0, le=86400)] = 5.0
    outcomes: Annotated[
        list[SimulatedOutcome],
        Field(
            max_length=64,
            description="The first pattern that matches decides; a test that none matches passes.",
        ),
    ] = []


class Driver(ApiModel):
    """Which framework runs the tests, and its settings."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=63,
            description="appwright, command, simulate, or one that is installed in the runner's image.",
        ),
    ] = "appwright"
    appwright: AppWrightSettings | None = None
    command: CommandSettings | None = None
    simulate: SimulateSettings | None = None
    settings: Annotated[
        PreservedObject | None, Field(description="Settings of a driver that the image adds.")
    ] = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.name != 'command' || has(self.command)",
            "driver command needs driver.command.test: the command that runs one test file",
        ),
    )


class App(ApiModel):
    """Where the app's package file comes from."""

    url: Annotated[
        str,
        matching(
            r"^(https?|file)://",
            "must begin with https://, http:// or file://",
            max_length=2048,
            description="URL of the package; {appVersionId} stands for the TestJob's app version.",
        ),
    ]
    max_bytes: Annotated[
        int, Field(ge=1, le=8589934592, description="Largest package accepted, in bytes.")
    ] = 2147483648

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.url.contains('{appVersionId}')",
            "must contain {appVersionId}, else every app version is the same file",
            ".url",
        ),
    )


class Batching(ApiModel):
    """How TestJobs are put together."""

    max_tests: Annotated[
        int, Field(ge=1, le=MAX_BATCH_TESTS, description="TestJobs in one batch at most.")
    ] = 50
    target_seconds: Annotated[
        Seconds,
        Field(
            description="A batch is cut so that install and tests take about this long, where other slots are free."
        ),
    ] = 120


class Retry(ApiModel):
    """When a TestJob runs again that did not pass: backoffSeconds × factor^(failures − 1), up to maxBackoffSeconds."""

    backoff_seconds: Annotated[
        int, Field(ge=0, le=86400, description="Wait before the first retry, in seconds.")
    ] = 60
    factor: Annotated[float, Field(ge=1, le=10)] = 2.0
    max_backoff_seconds: Annotated[int, Field(ge=0, le=604800)] = 3600
    infrastructure_retries: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Infrastructure failures that a TestJob may meet before it is dead-lettered.",
        ),
    ] = 5


class Timeouts(ApiModel):
    """In seconds."""

    start_seconds: Annotated[
        Seconds, Field(description="From the batch's creation until its runner reports.")
    ] = 300
    install_seconds: Annotated[Seconds, Field(description="Download and install of the app.")] = 300
    test_seconds: Annotated[
        Seconds, Field(description="One attempt of one TestJob that sets no timeoutSeconds.")
    ] = 600
    batch_seconds: Annotated[
        Seconds, Field(description="A whole batch; what it has not started then is given back.")
    ] = 7200
    fence_seconds: Annotated[
        Seconds,
        Field(
            description="A runner that can't read its batch for so long stops its tests; "
            "longer than a restart of the control plane."
        ),
    ] = 60


class TestTargetSpec(ApiModel):
    """How to reach the devices, run the tests and retry them."""

    __test__: ClassVar[bool] = False

    provider: Provider = Provider(none=NoDevice())
    driver: Driver = Driver()
    app: Annotated[App | None, Field(description="Not needed by a driver that installs nothing.")] = None
    source: Annotated[Source | None, Field(description="Test files of TestJobs that name no source.")] = None
    image: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description="The runner's image; the operator's setting for the driver otherwise.",
        ),
    ] = None
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Environment of every test's process. Never secrets.",
        ),
    ] = []
    parallelism: Annotated[
        int | None,
        Field(
            ge=0,
            le=1000,
            description="Batches at once; 0 pauses the target; the number of devices (or 1) otherwise.",
        ),
    ] = None
    batch: Batching = Batching()
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    pod_template: Annotated[
        PreservedObject | None,
        Field(
            description="Merged into the runner's pod: metadata and spec as in a Job's template. "
            "The runner's container is named 'runner'."
        ),
    ] = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.driver.name != 'appwright' || (has(self.app) && has(self.provider.devices))",
            "driver appwright needs app.url and provider.devices",
        ),
    )


class DeviceStatus(ApiModel):
    """Who has a device now. The operator's lease: set with a precondition before the batch is created."""

    name: str
    state: Literal["Free", "Busy"] = "Free"
    batch: str = ""
    since: datetime | None = None
    message: Annotated[str, Field(max_length=1024)] = ""


class TestTargetStatus(ApiModel):
    """What the pool is doing."""

    __test__: ClassVar[bool] = False

    devices: Annotated[
        list[DeviceStatus],
        Field(
            max_length=1000,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
        ),
    ] = []
    slots: Annotated[int, Field(ge=0, description="Batches that may run at once.")] = 0
    running: Annotated[int, Field(ge=0, description="Batches that run now.")] = 0
    waiting: Annotated[int, Field(ge=0, description="TestJobs that wait.")] = 0
    observed_generation: int | None = None
    conditions: Conditions = []


class TestTarget(ApiModel):
    """A pool of like devices, and how to use it."""

    __test__: ClassVar[bool] = False

    metadata: dict[str, Any] = {}
    spec: TestTargetSpec
    status: TestTargetStatus = TestTargetStatus()

    PLURAL: ClassVar[str] = "testtargets"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("tt",)
    SELECTABLE: ClassVar[tuple[str, ...]] = ()
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
            "a TestTarget's name has at most 63 characters and no dots",
        ),
    )
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Driver", "string", ".spec.driver.name"),
        Column("Slots", "integer", ".status.slots", "batches that may run at once"),
        Column("Running", "integer", ".status.running", "batches that run now"),
        Column("Waiting", "integer", ".status.waiting", "TestJobs that wait"),
        Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Message", "string", ".status.conditions[?(@.type=='Ready')].message", priority=1),
    )
