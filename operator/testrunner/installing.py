"""From an owned batch to an installed app: target, sources, device, download, install."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import ValidationError

from qgjob.api import lifecycle
from qgjob.api.constants import DEVICE_LOST, TARGET_INVALID, TEST_TARGETS
from qgjob.api.lifecycle import Result, RetryPolicy
from qgjob.api.providers import EMULATOR
from qgjob.api.source import Source
from qgjob.api.testbatch import BatchDevice
from qgjob.api.testtarget import TestTargetSpec
from qgjob.client import ApiError, ClientError

from .answers import REQUEST_SECONDS, is_away, pause
from .app import app_url, package_name
from .courier.choice import Couriers
from .drivers import driver_class
from .drivers.base import BatchContext, Driver, InfrastructureError, Stopped, SubmitterError
from .endings import EndBatch, Ending, Rest
from .environment import target_environment
from .masking import Masks, secret_variables, too_short
from .siblings import Siblings
from .sources.packages import Packages
from .sources.store import Prepared, SourceStore
from .supervision import DriverStuck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from qgjob.api.testbatch import BatchJob
    from qgjob.client import Client

    from .claims import Claims
    from .clock import Clock
    from .interruption import Interruption
    from .log import Log
    from .readable_paths import ReadablePaths
    from .record import BatchRecord
    from .reporting import Job, Reporter
    from .stop import StopToken
    from .supervision import Supervisor
    from .tally import Tally
    from .waiting import Waiting

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installed:
    """What testing needs."""

    driver: Driver
    context: BatchContext
    #: Requested with everything, or when the driver has used up its time.
    stop: StopToken
    #: Download and install, in seconds.
    seconds: float


class Installing:
    """The steps before the first test, in order. Each raises EndBatch where the batch can't go on."""

    def __init__(
        self,
        client: Client,
        record: BatchRecord,
        claims: Claims,
        reporter: Reporter,
        *,
        tally: Tally,
        supervisor: Supervisor,
        interruption: Interruption,
        waiting: Waiting,
        workdir: Path,
        paths: ReadablePaths,
        environment: Mapping[str, str],
        clock: Clock,
        log: Log,
    ) -> None:
        self._client = client
        self._record = record
        self._claims = claims
        self._reporter = reporter
        self._tally = tally
        self._supervisor = supervisor
        self._interruption = interruption
        self._workdir = workdir
        self._paths = paths
        self._environment = environment
        self._clock = clock
        self._log = log
        self._waiting = waiting
        self._stop = interruption.stop.child()
        self._sources: SourceStore | None = None
        self._couriers: Couriers | None = None
        self._target: TestTargetSpec | None = None
        self.driver: Driver | None = None
        #: What the target declares as secret, once it was read.
        self.masks = Masks()

    @property
    def target(self) -> TestTargetSpec:
        """The batch's target, as it was when the batch began."""
        if self._target is None:
            raise RuntimeError("the target was not read yet")
        return self._target

    def read_target(self) -> None:
        """Read the batch's TestTarget; the rest of the batch goes by what it says now."""
        name = self._record.spec.target
        tries = 0
        while True:
            self._interruption.raise_if_any()
            try:
                found = self._client.get(
                    TEST_TARGETS, name, namespace=self._record.namespace, timeout=REQUEST_SECONDS
                )
                break
            except ClientError as error:
                if isinstance(error, ApiError) and error.is_not_found:
                    message = f"there is no TestTarget {name} in namespace {self._record.namespace}"
                    raise EndBatch(Ending("Failed", "TargetNotFound", message)) from error
                if not is_away(error):
                    raise
                tries += 1
                self._log.line(str(error))
            self._interruption.pause(pause(tries))
        self._reporter.use_policy(RetryPolicy.from_target_spec(found["spec"]))
        try:
            self._target = TestTargetSpec.model_validate(found["spec"])
        except ValidationError as error:
            message = f"this runner doesn't understand TestTarget {name}: {_first(error)}"
            raise EndBatch(Ending("Failed", TARGET_INVALID, message, Rest.CHARGE)) from error
        self._learn_secrets(self._target)

    def _learn_secrets(self, target: TestTargetSpec) -> None:
        self.masks = Masks(self._environment.get(name, "") for name in secret_variables(target))
        self._log.mask(self.masks)
        self._reporter.use_masks(self.masks)
        if names := too_short(target, self._environment):
            self._log.line(f"too short to be masked in logs: {', '.join(names)}")

    def prepare_sources(self) -> None:
        """Fetch the sources of all claimed TestJobs. A bad one costs only the TestJobs that name it."""
        self._claims.cancel_asked(self._record.entries)
        for entry, job in list(self._claims.open(self._record.entries)):
            self.source_of(entry, job)

    def source_of(self, entry: BatchJob, job: Job) -> Prepared | None:
        """A TestJob's source; None where it can't be had, which the TestJob was told then."""
        own = job["spec"].get("source")
        # What its first attempt ran: a branch that went on meanwhile is another test.
        commit = str(lifecycle.get(job.get("status") or {}, "revision") or "")
        try:
            return self._prepare_source(Source.model_validate(own) if own else self.target.source, commit)
        except SubmitterError as error:
            if own:
                result = Result("failed", error.message, final_reason=error.reason)
            else:
                # The target's own source: whoever submitted can't help it, and the target can be mended.
                result = Result("infrastructure", f"the TestTarget's source: {error.message}")
            self._fail_source(entry, job, result)
        except InfrastructureError as error:
            self._fail_source(entry, job, Result("infrastructure", error.message))
        except ValidationError as error:
            message = f"this runner doesn't understand the source: {_first(error)}"
            self._fail_source(entry, job, Result("infrastructure", message))
        return None

    def _prepare_source(self, source: Source | None, commit: str) -> Prepared:
        store = self._store()
        if known := store.known(source, commit):
            return known
        stop = self._stop.child()
        try:
            prepared = self._in_time(lambda: store.prepare(source, commit, stop), stop=stop)
            self._paths.add(prepared.folder)
            return prepared
        except Stopped:
            self._interruption.raise_if_any()
            error = InfrastructureError(f"the test files: {stop.reason}")
            raise store.broken(source, commit, error) from None

    def install(self, deadline: float) -> Installed:
        """Build and prepare the driver, download the app, install it once.

        The batch may wait for a driver that has no capacity until `deadline`, in the clock's monotonic seconds.
        """
        with self._stage("PrepareFailed"):
            # Importing it runs anybody's code already.
            kind = self._in_time(lambda: driver_class(self.target.driver.name).for_target(self.target))
            context = self._context()
            if kind.needs_app and context.app_path is None:
                raise InfrastructureError(f"driver {kind.name} needs an app: set app.url in the TestTarget")
        device = context.device
        address = f" ({device.address})" if device and device.address else ""
        where = f" on {device.name}{address}" if device else ""
        self._log.line(f"driver {kind.name}{where}")
        with self._stage("PrepareFailed"):
            self.driver = driver = self._in_time(lambda: kind(context, self._stop))
            self._prepare(driver)
        late = f"no test could begin within {self.target.timeouts.batch_seconds} s (timeouts.batchSeconds)"
        self._waiting.wait(
            driver,
            self._stop,
            deadline=deadline,
            late=Ending("Failed", "NoCapacity", late, Rest.CHARGE),
        )
        begun = self._clock.monotonic()
        if (path := context.app_path) is not None:
            couriers, said = self.couriers, [""]

            def log(line: str) -> None:
                said[0] = line
                self._log.line(line)

            with self._stage("AppDownloadFailed", lambda: said[0]):
                self._in_time(lambda: couriers.fetch_app(path, stop=self._stop, log=log), since=begun)
        with self._stage("InstallFailed"):
            self._in_time(driver.install, since=begun)
        seconds = self._clock.monotonic() - begun
        self._log.line(f"installed app version {context.app_version_id} in {seconds:.1f} s")
        return Installed(driver, context, self._stop, seconds)

    def _prepare(self, driver: Driver) -> None:
        """An emulator boots beside installSeconds, for minutes: meanwhile the batch may be called off."""
        emulator = self.target.provider.emulator
        self._in_time(
            driver.prepare,
            more=emulator.boot_seconds if emulator else 0,
            meanwhile=lambda: self._waiting.look(self._stop, "its emulator boots" if emulator else ""),
        )

    def _context(self) -> BatchContext:
        spec, app = self._record.spec, self.target.app
        path = None
        if app is not None and app.url:
            path = self._workdir / "app" / package_name(app_url(app, spec.app_version_id))
        return BatchContext(
            namespace=self._record.namespace,
            batch=self._record.name,
            target=self.target,
            app_version_id=spec.app_version_id,
            device=spec.device or _own_device(self.target),
            app_path=path,
            workdir=self._workdir,
            sources=self._store().folders,
            log=self._log.output,
            masks=self.masks,
            paths=self._paths,
            first_to_install=Siblings(self._client, self._record).first_to_install,
        )

    @property
    def couriers(self) -> Couriers:
        """Who fetches and stores for this batch. After `read_target`."""
        if self._couriers is None:
            self._couriers = Couriers(
                self.target,
                self._record.spec.app_version_id,
                environment=self._environment,
                log=self._log.line,
            )
        return self._couriers

    def _store(self) -> SourceStore:
        if self._sources is None:
            packages = None
            if cache := self.couriers.cache:
                packages = Packages(cache, target_environment(self._environment, self.target))
            self._sources = SourceStore(
                self._workdir / "sources",
                client=self._client,
                namespace=self._record.namespace,
                courier=self.couriers,
                packages=packages,
                log=self._log.line,
            )
        return self._sources

    def _fail_source(self, entry: BatchJob, job: Job, result: Result) -> None:
        self._log.line(f"TestJob {entry.name} can't run: {result.message}")
        self._claims.handled(entry)
        self._reporter.charge(entry, job, result, lambda: self._tally.charged(result.outcome))

    def _in_time(
        self,
        work: Callable[[], T],
        *,
        since: float | None = None,
        stop: StopToken | None = None,
        more: float = 0.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> T:
        limit = self.target.timeouts.install_seconds + more
        used = 0.0 if since is None else self._clock.monotonic() - since
        name = "timeouts.installSeconds" + (" and provider.emulator.bootSeconds" if more else "")
        late = f"it took longer than {limit:g} s (the TestTarget's {name})"
        left = max(0.0, limit - used)
        return self._supervisor.call(
            work, stop=stop or self._stop, seconds=left, late=late, meanwhile=meanwhile
        )

    @contextmanager
    def _stage(self, reason: str, said: Callable[[], str] = lambda: "") -> Iterator[None]:
        """What goes wrong in here ends the batch with that reason, or with a more exact one.

        `said`: what was last heard of it, which tells more than that its time was over.
        """
        try:
            yield
        except Stopped:
            self._interruption.raise_if_any()
            if over := self._waiting.why_over():
                raise over from None
            _fail(reason, ": ".join(filter(None, (self._stop.reason, said()))))
        except DriverStuck as error:
            self._interruption.raise_if_any()
            _fail("DriverStuck", str(error))
        except InfrastructureError as error:
            if error.device_lost:
                self._blame_device(error.reason or DEVICE_LOST, error.message)
            _fail(error.reason or reason, error.message)
        except SubmitterError as error:
            raise EndBatch(Ending("Failed", error.reason, error.message, Rest.DEAD_LETTER)) from error
        except Exception as error:  # noqa: BLE001 - a driver is anybody's code
            self._log.line(traceback.format_exc())
            _fail(reason, f"the driver failed: {type(error).__name__}: {error}")

    def _blame_device(self, reason: str, message: str) -> NoReturn:
        """A device that was in quarantine was tried at its own risk: that costs no TestJob anything."""
        rest = Rest.GIVE_BACK if self._record.spec.trial else Rest.CHARGE
        raise EndBatch(Ending("Failed", reason, message, rest))


def _own_device(target: TestTargetSpec) -> BatchDevice | None:
    """A device that nobody leases: the emulator beside the runner in its pod, or a cloud's, named for people."""
    if (emulator := target.provider.emulator) is not None:
        return BatchDevice(name=EMULATOR, address=f"127.0.0.1:{emulator.port}")
    if (cloud := target.provider.browserstack) is not None:
        return BatchDevice(name=f"{cloud.device} ({cloud.os_version})"[:63])
    return None


def _fail(reason: str, message: str) -> NoReturn:
    raise EndBatch(Ending("Failed", reason, message, Rest.CHARGE))


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
