"""TestBatch: the TestJobs that share one install; it owns one Kubernetes Job."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import ApiModel, Column, Rule, fixed, rules, schema
from .constants import MAX_BATCH_TESTS
from .testjob import Conditions, Identifier, Outcome, TargetName

BatchPhase = Literal["Pending", "Installing", "Running", "Completed", "Failed", "Yielded"]


class BatchJob(ApiModel):
    """One TestJob of the batch, as it was nominated. It belongs to the batch only once its own status says so."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    uid: Annotated[str, Field(min_length=1, max_length=36)]
    attempt: Annotated[int, Field(ge=1)]
    org_id: Annotated[str | None, Field(max_length=128, description="Whose device time it is.")] = None
    seconds: Annotated[
        float | None, Field(ge=0, description="How long it was expected to run, when it was nominated.")
    ] = None


class BatchTurn(ApiModel):
    """Whose turn the batch is, and how its org stood among the others when it was made.

    `floor` and `start` count the device seconds, divided by its weight, of an org that waits all the time.
    """

    org_id: Annotated[str, Field(max_length=128, description="Whose turn it is: it pays for the install.")]
    weight: Annotated[int, Field(ge=1, description="Its weight then.")]
    floor: Annotated[float, Field(description="The least that it stood at: idle time earns nothing.")]
    start: Annotated[float, Field(description="Where it stood.")]
    install_seconds: Annotated[float, Field(ge=0, description="How long the install was expected to take.")]


class BatchDevice(ApiModel):
    """The device that the batch holds, with the address it had when it was leased."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    address: Annotated[str, Field(max_length=255)] = ""


class TestBatchSpec(ApiModel):
    """What the runner runs. `jobs` is append-only, in running order; the rest but `yield` and `priority` is fixed."""

    __test__: ClassVar[bool] = False

    app_version_id: Identifier
    target: TargetName
    priority: Annotated[int, Field(ge=1, le=10, description="The highest priority of its TestJobs.")]
    device: BatchDevice | None = None
    turn: BatchTurn | None = None
    fence_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=604800,
            description="The target's fence time when the batch was made: runner and operator must mean the same.",
        ),
    ] = None
    trial: Annotated[
        bool,
        Field(
            description="Its device is on probation after a quarantine: where it is found unfit before the install, "
            "the TestJob goes back at no cost."
        ),
    ] = False
    jobs: Annotated[
        list[BatchJob],
        Field(
            min_length=1,
            max_length=MAX_BATCH_TESTS,
            json_schema_extra=schema(x_kubernetes_list_type="atomic"),
        ),
    ]
    yield_: Annotated[
        bool, Field(alias="yield", description="Asks the runner to give back what it has not started.")
    ] = False

    RULES: ClassVar[tuple[Rule, ...]] = (
        *fixed("TestBatch", "appVersionId", "target", optional=("device", "turn", "fenceSeconds", "trial")),
        Rule(
            "self.jobs.size() >= oldSelf.jobs.size() && self.jobs.slice(0, oldSelf.jobs.size()) == oldSelf.jobs",
            "entries can be added at the end, never changed or removed",
            ".jobs",
        ),
    )


class BatchTest(ApiModel):
    """How one TestJob of the batch went."""

    name: str
    test: Annotated[str, Field(max_length=512, description="Path of its test file.")] = ""
    outcome: Outcome
    seconds: Annotated[float, Field(ge=0, description="Wall-clock seconds of the run.")] = 0.0


class TestBatchStatus(ApiModel):
    """Written by the one runner pod that owns the batch, and by the operator where that pod can't."""

    __test__: ClassVar[bool] = False

    pod: Annotated[
        str,
        Field(
            description="The uid of the one pod that owns this batch.",
            json_schema_extra=rules(
                Rule("oldSelf == '' || self == oldSelf", "a batch keeps the owner that it has")
            ),
        ),
    ] = ""
    pod_name: str = ""
    phase: Annotated[
        BatchPhase,
        Field(
            json_schema_extra=rules(
                Rule(
                    "self == oldSelf || !(oldSelf in ['Completed', 'Failed', 'Yielded'])",
                    "a batch that is over stays over",
                )
            )
        ),
    ] = "Pending"
    open: Annotated[
        bool,
        Field(
            description="TestJobs may still be appended.",
            json_schema_extra=rules(Rule("oldSelf || !self", "a closed batch can't be opened again")),
        ),
    ] = True
    start_time: datetime | None = None
    finish_time: datetime | None = None
    install_seconds: Annotated[float | None, Field(ge=0)] = None
    total: Annotated[int, Field(ge=0, description="TestJobs that were run or charged.")] = 0
    passed: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0, description="Ended with a test failure.")] = 0
    infrastructure: Annotated[int, Field(ge=0, description="Ended with an infrastructure failure.")] = 0
    given_back: Annotated[int, Field(ge=0, description="Not started and returned to the queue.")] = 0
    tests: Annotated[
        list[BatchTest],
        Field(max_length=MAX_BATCH_TESTS, json_schema_extra=schema(x_kubernetes_list_type="atomic")),
    ] = []
    reason: Annotated[str, Field(max_length=256)] = ""
    message: Annotated[str, Field(max_length=1024)] = ""
    conditions: Conditions = []


class TestBatch(ApiModel):
    """The TestJobs that share one install on one device."""

    __test__: ClassVar[bool] = False

    metadata: dict[str, Any] = {}
    spec: TestBatchSpec
    status: TestBatchStatus = TestBatchStatus()

    PLURAL: ClassVar[str] = "testbatches"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("tb",)
    SELECTABLE: ClassVar[tuple[str, ...]] = (".spec.appVersionId", ".spec.target", ".status.phase")
    RULES: ClassVar[tuple[Rule, ...]] = (
        # Kubernetes cuts longer ones in the names of the Job's pods, by which a pod is known to be the batch's.
        Rule(
            "self.metadata.name.size() <= 57",
            "a TestBatch's name has at most 57 characters",
        ),
    )
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("Phase", "string", ".status.phase"),
        Column("Priority", "integer", ".spec.priority", "the highest of its TestJobs"),
        Column("App", "string", ".spec.appVersionId"),
        Column("Target", "string", ".spec.target"),
        Column("Device", "string", ".spec.device.name"),
        Column("Passed", "integer", ".status.passed"),
        Column("Failed", "integer", ".status.failed"),
        Column("Infra", "integer", ".status.infrastructure"),
        Column("Install", "number", ".status.installSeconds", "seconds of the one install"),
        Column("Reason", "string", ".status.reason"),
        Column("Age", "date", ".metadata.creationTimestamp"),
        Column("Pod", "string", ".status.podName", priority=1),
        Column("Given-Back", "integer", ".status.givenBack", priority=1),
        Column("Message", "string", ".status.message", priority=1),
    )
