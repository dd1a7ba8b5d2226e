"""TestJob: one test file to run against one app version on one target."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import ApiModel, Column, Rule, fixed, matching, rules, schema
from .constants import MAX_ATTEMPTS_KEPT
from .source import Source

Phase = Literal["Pending", "Scheduled", "Running", "Succeeded", "Retrying", "DeadLettered", "Cancelled"]
Outcome = Literal["passed", "failed", "infrastructure"]
ONLY_GROWS = rules(Rule("self >= oldSelf", "can only be counted up"))
Identifier = Annotated[
    str,
    matching(
        r"^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$",
        "must be letters and digits, with '.', '_', '+' or '-' between them",
        max_length=128,
    ),
]
TargetName = Annotated[
    str,
    matching(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "must be the name of a TestTarget: lower-case letters and digits, with '-' between them",
        max_length=63,
        description="Name of a TestTarget in the same namespace.",
    ),
]


class EnvVar(ApiModel):
    """One environment variable of the test's process. Never a secret: every runner of the namespace can read it."""

    name: Annotated[
        str,
        matching(
            r"^[A-Za-z_][A-Za-z0-9_]*$",
            "must be letters, digits and '_', and must not begin with a digit",
            max_length=128,
        ),
    ]
    value: Annotated[str, Field(max_length=4096)] = ""


class TestJobSpec(ApiModel):
    """What to run. Immutable but for priority, cancel, replays and ttlSecondsAfterFinished."""

    __test__: ClassVar[bool] = False

    org_id: Annotated[
        Identifier, Field(description="The organisation that submits, for fairness and filters.")
    ]
    app_version_id: Annotated[
        Identifier,
        Field(description="The app version under test; TestJobs with the same one share an install."),
    ]
    test: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            description="Path of the test file in the source.",
            json_schema_extra=rules(
                Rule(
                    "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                    "must be a path inside the source: relative, without '..'",
                )
            ),
        ),
    ]
    target: TargetName
    priority: Annotated[int, Field(ge=1, le=10, description="1 to 10; 10 runs first.")] = 5
    max_retries: Annotated[
        int,
        Field(ge=0, le=100, description="Retries after test failures before the TestJob is dead-lettered."),
    ] = 3
    timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description="Longest run of one attempt, in seconds; the target's testSeconds otherwise.",
        ),
    ] = None
    source: Annotated[
        Source | None, Field(description="Where the test files come from; the target's source otherwise.")
    ] = None
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Environment of the test's process. Never secrets.",
        ),
    ] = []
    isolation: Annotated[
        Literal["clear", "reinstall"],
        Field(description="Before the test: clear the app's data, or install the app afresh."),
    ] = "clear"
    ttl_seconds_after_finished: Annotated[
        int | None,
        Field(
            ge=0,
            le=31536000,
            description="Delete the TestJob this many seconds after it ended; the operator's setting otherwise.",
        ),
    ] = None
    cancel: Annotated[
        bool,
        Field(
            description="Set to true to cancel; can't be taken back.",
            json_schema_extra=rules(
                Rule("self || !oldSelf", "a cancelled TestJob can't be revived: submit a new one")
            ),
        ),
    ] = False
    replays: Annotated[
        int,
        Field(
            ge=0,
            le=1000000,
            description="Count up by one to replay a dead-lettered TestJob.",
            json_schema_extra=ONLY_GROWS,
        ),
    ] = 0

    RULES: ClassVar[tuple[Rule, ...]] = (
        *fixed(
            "TestJob",
            *("orgId", "appVersionId", "test", "target", "maxRetries", "isolation"),
            optional=("timeoutSeconds", "source", "env"),
        ),
    )


class Attempt(ApiModel):
    """One run of a TestJob."""

    number: int
    batch: str = ""
    pod: str = ""
    device: str = ""
    start_time: datetime | None = None
    finish_time: datetime | None = None
    outcome: Outcome
    message: Annotated[str, Field(max_length=1024)] = ""
    cases: Annotated[int, Field(ge=0, description="Test cases that the framework reported.")] = 0
    failed_cases: Annotated[int, Field(ge=0)] = 0
    skipped_cases: Annotated[int, Field(ge=0)] = 0
    artifacts: Annotated[
        str,
        Field(max_length=1024, description="URL of the folder of its reports, screenshots, videos and log."),
    ] = ""
    session: Annotated[str, Field(max_length=1024, description="URL of its session in a device cloud.")] = ""
    video: Annotated[str, Field(max_length=1024, description="URL of that session's video.")] = ""


class Condition(ApiModel):
    """A standard Kubernetes condition."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(max_length=1024)]
    message: Annotated[str, Field(max_length=32768)] = ""
    last_transition_time: datetime
    observed_generation: int | None = None


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["type"]),
    ),
]


class TestJobStatus(ApiModel):
    """What became of it. Defaulted by the schema, so that selectors and JSON-patch `test` work before any write."""

    __test__: ClassVar[bool] = False

    phase: Phase = "Pending"
    batch: Annotated[str, Field(description="The TestBatch that it belongs to now, or last ran in.")] = ""
    pod: Annotated[str, Field(description="The pod that runs it, or last ran it.")] = ""
    attempt: Annotated[
        int,
        Field(
            ge=0,
            description="Claims so far; only grows. Not every claim becomes a run.",
            json_schema_extra=ONLY_GROWS,
        ),
    ] = 0
    failures: Annotated[
        int, Field(ge=0, description="Test failures since the submission or the last replay.")
    ] = 0
    infrastructure_failures: Annotated[
        int, Field(ge=0, description="Infrastructure failures since the submission or the last replay.")
    ] = 0
    observed_replays: Annotated[
        int, Field(ge=0, description="The spec's replays that were acted upon.", json_schema_extra=ONLY_GROWS)
    ] = 0
    start_time: Annotated[datetime | None, Field(description="Start of the newest attempt.")] = None
    finish_time: Annotated[datetime | None, Field(description="When it ended for good.")] = None
    next_attempt_time: Annotated[datetime | None, Field(description="Not run again before this time.")] = None
    revision: Annotated[
        str,
        Field(
            max_length=64,
            description="The commit of its git source at the first attempt; the later ones run it too.",
        ),
    ] = ""
    queue_time: Annotated[
        datetime | None, Field(description="When it was replayed last; its age in the line counts from here.")
    ] = None
    reason: Annotated[
        str, Field(max_length=256, description="One CamelCase word on why it is where it is.")
    ] = ""
    message: Annotated[str, Field(max_length=1024)] = ""
    attempts: Annotated[
        list[Attempt],
        Field(max_length=MAX_ATTEMPTS_KEPT, json_schema_extra=schema(x_kubernetes_list_type="atomic")),
    ] = []
    conditions: Conditions = []


class TestJob(ApiModel):
    """One test file to run against one app version on one target."""

    __test__: ClassVar[bool] = False

    metadata: dict[str, Any] = {}
    spec: TestJobSpec
    status: TestJobStatus = TestJobStatus()

    PLURAL: ClassVar[str] = "testjobs"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("tj",)
    SELECTABLE: ClassVar[tuple[str, ...]] = (
        ".spec.orgId",
        ".spec.appVersionId",
        ".spec.target",
        ".status.phase",
        ".status.batch",
    )
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Phase", "string", ".status.phase"),
        Column("Priority", "integer", ".spec.priority", "10 runs first"),
        Column("App", "string", ".spec.appVersionId"),
        Column("Target", "string", ".spec.target"),
        Column("Test", "string", ".spec.test"),
        Column("Failures", "integer", ".status.failures", "test failures so far"),
        Column("Reason", "string", ".status.reason"),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Org", "string", ".spec.orgId", priority=1),
        Column("Batch", "string", ".status.batch", priority=1),
        Column(
            "Infra", "integer", ".status.infrastructureFailures", "infrastructure failures so far", priority=1
        ),
        Column("Message", "string", ".status.message", priority=1),
    )
