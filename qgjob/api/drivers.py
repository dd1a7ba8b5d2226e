"""Which framework runs a target's tests, and its settings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import ApiModel, PreservedObject, Rule, rules
from .testjob import Outcome


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

    Each command is an argument list. Its process has QGJOB_APP_PATH, QGJOB_APP_PACKAGE, QGJOB_APP_VERSION_ID,
    QGJOB_DEVICE (name), ANDROID_SERIAL (address), QGJOB_TEST, QGJOB_ATTEMPT, QGJOB_FAILURES and QGJOB_REPORT_DIR in
    its environment.
    """

    install: Annotated[
        list[str] | None,
        Field(
            max_length=64,
            description="Installs the app once per batch. Where not given, an APK is installed by adb on a device that "
            "the runner reaches; empty: nothing is installed.",
        ),
    ] = None
    test: Annotated[
        list[str], Field(min_length=1, max_length=64, description="Runs one TestJob's test file.")
    ]
    clear: Annotated[
        list[str] | None,
        Field(
            max_length=64,
            description="Clears the app's state between tests. Where not given, an APK's data is cleared by adb on a "
            "device that the runner reaches; empty: nothing is cleared.",
        ),
    ] = None
    app_package: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Android package of the app; aapt finds it in the APK where not given.",
        ),
    ] = None
    appium: Annotated[
        bool,
        Field(
            description="Whether the runner starts an Appium for the batch, from an image that is based on "
            "runner-appwright: APPIUM_URL says where. Its sessions have the batch's device unless they name another."
        ),
    ] = False
    junit: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            description="Glob of the JUnit XML files, below QGJOB_REPORT_DIR.",
            json_schema_extra=rules(
                Rule(
                    "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                    "must be a glob below QGJOB_REPORT_DIR: relative, without '..'",
                )
            ),
        ),
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
