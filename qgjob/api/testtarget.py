"""TestTarget: a pool of like devices, and how to use it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import ApiModel, Column, PreservedObject, Rule, schema
from .constants import MAX_BATCH_TESTS
from .drivers import Driver
from .providers import DeviceHealth, NoDevice, Provider
from .source import Source
from .stores import App, Artifacts, Cache, GitCredentials, SecretEnvVar
from .testjob import Condition, Conditions, EnvVar, Identifier

__all__ = ["Condition", "TestTarget", "TestTargetSpec", "TestTargetStatus"]

Seconds = Annotated[int, Field(ge=1, le=604800)]


class Batching(ApiModel):
    """How TestJobs are put together."""

    max_tests: Annotated[
        int, Field(ge=1, le=MAX_BATCH_TESTS, description="TestJobs in one batch at most.")
    ] = 50
    target_seconds: Annotated[
        Seconds,
        Field(
            description="A batch is cut so that install and tests take about this long, where other slots are free "
            "or other orgs wait."
        ),
    ] = 120
    isolate_orgs: Annotated[bool, Field(description="TestJobs of two orgs never share a batch.")] = False


Waiting = Annotated[
    int | None,
    Field(ge=0, le=1000000, description="TestJobs of the org that may wait at once; no limit otherwise."),
]
Running = Annotated[
    int | None,
    Field(ge=0, le=1000, description="Batches with TestJobs of the org at once; no limit otherwise."),
]
Weight = Annotated[
    int, Field(ge=1, le=1000, description="Its part of the device time while others wait, too.")
]


class Org(ApiModel):
    """What one org may have of the target."""

    org_id: Identifier
    weight: Weight = 1
    max_running: Running = None
    max_waiting: Waiting = None


class UnlistedOrgs(ApiModel):
    """What an org may have that `orgs` does not list."""

    weight: Weight = 1
    shared: Annotated[
        bool,
        Field(description="All of them share that weight as if they were one, however many ids there are."),
    ] = False
    max_running: Running = None
    max_waiting: Waiting = None


class Fairness(ApiModel):
    """How orgs share the target's device time while several of them wait."""

    orgs: Annotated[
        list[Org],
        Field(
            max_length=256,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["orgId"]),
        ),
    ] = []
    unlisted: UnlistedOrgs = UnlistedOrgs()
    over_quota: Annotated[
        Literal["Wait", "Cancel"],
        Field(
            description="What becomes of TestJobs beyond maxWaiting, the newest first: they wait, and their status "
            "says why, or they end Cancelled with reason QuotaExceeded."
        ),
    ] = "Wait"


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
    health: Annotated[DeviceHealth, Field(description="For provider devices.")] = DeviceHealth()
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
    secret_env: Annotated[
        list[SecretEnvVar],
        Field(
            max_length=64,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Environment of every test's process, from Secrets of the namespace.",
        ),
    ] = []
    git_credentials: Annotated[
        list[GitCredentials],
        Field(
            max_length=16,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["urlPrefix"]),
            description="The longest prefix that fits a git source's repository counts.",
        ),
    ] = []
    artifacts: Annotated[
        Artifacts | None, Field(description="Where reports, screenshots, videos and logs are kept.")
    ] = None
    cache: Annotated[
        Cache | None, Field(description="Keeps app packages and node_modules between batches.")
    ] = None
    parallelism: Annotated[
        int | None,
        Field(
            ge=0,
            le=1000,
            description="Batches at once; 0 pauses the target; the number of devices (or 1) otherwise.",
        ),
    ] = None
    batch: Batching = Batching()
    fairness: Fairness = Fairness()
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
            "self.driver.name != 'appwright' || (has(self.app) && !has(self.provider.none))",
            "driver appwright needs app, and provider devices, emulator or browserstack",
        ),
        Rule(
            "!has(self.driver.command) || !self.driver.command.appium || has(self.provider.devices) || "
            "has(self.provider.emulator)",
            "driver.command.appium needs a device that adb reaches: provider devices or emulator",
            ".driver.command.appium",
        ),
        Rule(
            "!has(self.app) || !has(self.app.customId) || has(self.provider.browserstack)",
            "only provider browserstack can use app.customId: name the package's url",
            ".app",
        ),
    )


class DeviceStatus(ApiModel):
    """Who has a device now. The operator's lease: set with a precondition before the batch is created."""

    name: str
    address: Annotated[
        str, Field(max_length=255, description="host:port, for a busy one as its batch began with it.")
    ] = ""
    state: Literal["Free", "Busy", "Quarantined", "Drained"] = "Free"
    batch: str = ""
    since: datetime | None = None
    failures: Annotated[int, Field(ge=0, description="Batches in a row that it failed.")] = 0
    until: Annotated[datetime | None, Field(description="A quarantined one is tried again then.")] = None
    reason: Annotated[str, Field(max_length=256, description="One CamelCase word on why.")] = ""
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
