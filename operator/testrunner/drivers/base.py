"""What a driver is: how a runner runs one framework's tests.

A driver is a class that an entry point of group `qgjob.drivers` names. The runner builds one per batch, as
`cls(context, stop)`, and calls prepare, install, then run for each TestJob (clear or install before each but
the first), and close at the end, whatever happened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from qgjob.api.lifecycle import OutcomeName

from ..masking import Masks
from ..readable_paths import ReadablePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qgjob.api.testbatch import BatchDevice
    from qgjob.api.testtarget import TestTargetSpec

    from ..stop import StopToken

_OUTCOMES: Final = get_args(OutcomeName)


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What all tests of the batch share."""

    namespace: str
    batch: str
    target: TestTargetSpec
    app_version_id: str
    #: Name and adb address; None where the target's provider leases none.
    device: BatchDevice | None
    #: Where the downloaded package is by the time `install` is called; None where the target has no app.
    app_path: Path | None
    #: Scratch folder of this batch.
    workdir: Path
    #: Prepared source folders, each distinct one once, so that a driver can warm up.
    sources: list[Path]
    #: Writes a line to the pod's log; may be called from any thread.
    log: Callable[[str], None]
    #: The secret values that the target declares. What a driver hands to `log` or returns as a message is masked
    #: anyway; `run_process(masks=…)` finds values that stand across the cuts of lines too.
    masks: Masks = field(default_factory=Masks)
    #: Makes paths in a message relative to the source. It happens to messages anyway; a driver that cuts them to a
    #: length, or copies a source, does so (`add`) first.
    paths: ReadablePaths = field(default_factory=ReadablePaths)
    #: Whether no older batch of this target and app version is about to install it, for what one of them does for
    #: all (an upload). It may have failed at that: whoever waits for it gives up after some time.
    first_to_install: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class TestRun:
    """One attempt of one TestJob."""

    __test__: ClassVar[bool] = False

    #: The TestJob's name.
    name: str
    #: Path of the test file, relative to `source`.
    test: str
    source: Path
    #: The environment of the test's process, complete: see testrunner.environment.
    env: Mapping[str, str]
    timeout_seconds: float
    #: The TestJob's status.attempt: claims so far.
    attempt: int
    #: 1 for the first real run of the TestJob, 2 for the second, …
    run: int
    #: Test failures before this run.
    failures: int
    isolation: Literal["clear", "reinstall"]
    #: An empty folder of this run's own for reports.
    report_dir: Path
    #: This run's own token, a child of the driver's: requested alone when just this TestJob is cancelled.
    stop: StopToken


@dataclass(frozen=True, slots=True)
class TestResult:
    """What one attempt came to."""

    __test__: ClassVar[bool] = False

    outcome: OutcomeName
    message: str = ""
    cases: int = 0
    failed_cases: int = 0
    skipped_cases: int = 0
    #: CamelCase; set where no retry can help (`TestNotFound`): the TestJob is dead-lettered at once.
    final_reason: str = ""
    #: The batch can't go on on this device: this test is charged, the rest is given back.
    device_lost: bool = False
    #: CamelCase; a more exact reason than `Infrastructure`, for an infrastructure failure.
    reason: str = ""
    #: URLs of its session in a device cloud, and of that session's video.
    session: str = ""
    video: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in _OUTCOMES:
            raise ValueError(f"a TestResult's outcome is one of {', '.join(_OUTCOMES)}, not {self.outcome!r}")


class InfrastructureError(Exception):
    """Something other than the test or its submitter is at fault. The text is for people."""

    def __init__(self, message: str, *, device_lost: bool = False, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: The batch can't go on on this device.
        self.device_lost = device_lost
        #: A CamelCase word that is more exact than the one of the step that failed.
        self.reason = reason


class SubmitterError(Exception):
    """What was submitted can't be run, and no retry can help. `reason` is CamelCase; `message` for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class NoCapacityError(Exception):
    """A test could not begin, or not go on, because what it needs was taken by others in the meantime.

    It is run again, from its start, after `await_capacity`: a few times, then that is an infrastructure failure.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised where work ended early because a stop was requested."""


class Driver(ABC):
    """Runs the tests of one batch on one device with one framework. Used by one thread at a time."""

    #: The name in TestTarget.spec.driver.name.
    name: ClassVar[str]
    #: Whether it can't work without `context.app_path` (a target's app is downloaded in any case).
    needs_app: ClassVar[bool] = True
    #: For people: what `await_capacity` waits for now.
    waiting_for: str = ""

    def __init__(self, context: BatchContext, stop: StopToken) -> None:
        self.context = context
        #: Requested when everything must stop; each test has a token of its own besides (TestRun.stop).
        self.stop = stop

    @classmethod
    def for_target(cls, target: TestTargetSpec) -> type[Driver]:  # noqa: ARG003
        """The class that serves a target: a driver may have another one for another provider."""
        return cls

    def prepare(self) -> None:  # noqa: B027 - a driver that has nothing to do leaves it out
        """Connect the device, check it, start helpers. Called once, before the app is installed.

        Raises InfrastructureError (with `device_lost` where the device is at fault), Stopped.
        """

    def await_capacity(self, stop: StopToken) -> None:  # noqa: B027
        """Wait until a test can begin: for a free session in a cloud, say.

        Called before the install and before each test, in the batch's time and not in theirs. Raises
        InfrastructureError, and Stopped where `stop` was requested.
        """

    def install(self) -> None:  # noqa: B027
        """Install the app: once a batch, and again only before a TestJob that asks for isolation `reinstall`.

        Raises InfrastructureError, SubmitterError (an app that no device can take), Stopped.
        """

    def clear(self) -> None:  # noqa: B027
        """Clear the app's state. Called before every TestJob but the first, unless that one reinstalls.

        Raises InfrastructureError, Stopped.
        """

    @abstractmethod
    def run(self, test: TestRun) -> TestResult:
        """Run one test file, until it ends, its time is over, or `test.stop` is requested.

        Raises InfrastructureError, SubmitterError, NoCapacityError, and Stopped where `test.stop` was requested
        before it came to a result.
        """

    def close(self) -> None:  # noqa: B027
        """Stop helpers, let go of the device. Called whatever happened before, with seconds to live."""
