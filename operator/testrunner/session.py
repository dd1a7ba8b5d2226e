"""One batch from its first write to its last: the runner's side of the batch protocol."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from qgjob.client import ApiError, ClientError

from .answers import is_away, pause
from .artifacts.collection import Collection
from .claims import Claims
from .clock import Clock
from .closing import Closing
from .endings import Abandoned, EndBatch, Ending, Rest
from .fence import Fence
from .installing import Installing
from .interruption import EXIT_BY, Interruption
from .readable_paths import ReadablePaths
from .record import BatchRecord, NotOursError
from .reporting import Reporter
from .supervision import Supervisor
from .tally import Tally
from .testing import Testing
from .turns import Turns
from .waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qgjob.client import Client

    from .identity import Pod
    from .installing import Installed
    from .log import Log

#: The batch is over in an orderly way, whatever its tests said.
EXIT_DONE: Final = 0
#: The runner itself failed: the batch was taken away, or its end could not be written.
EXIT_FAILED: Final = 1
#: Another pod owns the batch, or it was over before this runner began.
EXIT_NOT_OURS: Final = 3

DEFAULT_FENCE_SECONDS: Final = 60.0
#: What a driver gets to close when others may want its device already.
ABANDONED_DRIVER_SECONDS: Final = 5.0


class Session:
    """Everything that one runner does, in the main thread."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        batch: str,
        *,
        pod: Pod,
        workdir: Path,
        environment: Mapping[str, str],
        log: Log,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._batch = batch
        self._workdir = workdir
        self._environment = environment
        self._log = log
        self._clock = clock = clock or Clock()
        self.interruption = Interruption(clock)
        self._record = BatchRecord(client, namespace, batch, pod, clock)
        self._paths = paths = ReadablePaths(workdir)
        self._reporter = Reporter(client, namespace, batch, pod=pod, paths=paths, clock=clock, log=log)
        self._claims = Claims(client, namespace, batch, reporter=self._reporter, clock=clock)
        self._tally = Tally()
        self._turns = Turns(self._record, self._claims, interruption=self.interruption, clock=clock)
        self._supervisor = Supervisor(self.interruption, clock)
        # Replaced by one that runs as soon as the target has said how long its time is.
        self._fence = Fence(self._record.read, DEFAULT_FENCE_SECONDS, clock, self.interruption.fenced)
        self._owned_at = 0.0
        self._collection: Collection | None = None
        self._waiting = Waiting(
            self._record,
            self._claims,
            self._reporter,
            supervisor=self._supervisor,
            interruption=self.interruption,
            clock=clock,
            log=log,
        )
        self._installing = Installing(
            client,
            self._record,
            self._claims,
            self._reporter,
            tally=self._tally,
            supervisor=self._supervisor,
            interruption=self.interruption,
            waiting=self._waiting,
            workdir=workdir,
            paths=paths,
            environment=environment,
            clock=clock,
            log=log,
        )

    def run(self) -> int:
        """Run the batch; returns the exit code. Raises ClientError where the server refuses what must be."""
        try:
            self._record.own(self.interruption.stop, self._log.line)
        except NotOursError as error:
            self._log.line(f"nothing to do: {error}")
            return EXIT_NOT_OURS
        self._owned_at = self._clock.monotonic()
        self._log.line(f"this pod runs TestBatch {self._namespace}/{self._batch}")
        try:
            ending = self._work()
            closing = Closing(
                self._record,
                self._claims,
                self._reporter,
                tally=self._tally,
                fence=self._fence,
                supervisor=self._supervisor,
                interruption=self.interruption,
                clock=self._clock,
                log=self._log,
            )
            written = closing.close(ending, self._installing.driver)
        except Abandoned as error:
            self._log.line(f"TestBatch {self._namespace}/{self._batch} is left alone: {error}")
            # A finished test's result is still true; its patch holds only while the TestJob is this pod's.
            self._reporter.flush(now=True)
            self._supervisor.try_briefly(self._close_driver, ABANDONED_DRIVER_SECONDS)
            return EXIT_FAILED
        finally:
            # The last of all: neither a result nor a device waits for a store.
            if self._collection is not None and (lost := self._collection.finish(self._seconds_to_store)):
                self._tell_of_the_lost(lost)
        return EXIT_DONE if written else EXIT_FAILED

    def _work(self) -> Ending:
        """All steps up to the batch's end, and what that is."""
        rest = Rest.CHARGE
        try:
            installed = self._install()
            rest = Rest.GIVE_BACK
            self._test(installed)
        except EndBatch as end:
            return end.ending
        except ClientError as error:
            return Ending("Failed", "RequestRefused", str(error), rest)
        except Abandoned:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the TestJobs must not hang
            self._log.line(traceback.format_exc())
            return Ending("Failed", "RunnerError", f"{type(error).__name__}: {error}", rest)
        raise AssertionError("unreachable: testing ends by an exception")

    def _install(self) -> Installed:
        self._installing.read_target()
        self._must_be_something()
        # Until here nothing ran that would have had to be stopped; and the batch was just read.
        seconds = self._record.spec.fence_seconds or self._installing.target.timeouts.fence_seconds
        self._fence = Fence(
            self._record.read, seconds, self._clock, self.interruption.fenced, since=self._record.read_at
        )
        self._fence.start()
        self._installing.prepare_sources()
        self._must_be_something()
        installed = self._installing.install(self._batch_deadline)
        self._mark_running(installed.seconds)
        return installed

    def _must_be_something(self) -> None:
        """An install is not spent on nothing."""
        if self._turns.next(self.interruption.raise_if_any) is not None:
            return
        if self._tally.total:
            raise EndBatch(Ending("Failed", "SourceFailed", "no TestJob has a source that can be used"))
        raise EndBatch(
            Ending("Completed", "NothingToRun", "no TestJob is claimed for it, or all are cancelled")
        )

    def _mark_running(self, install_seconds: float) -> None:
        tries = 0
        while True:
            self.interruption.raise_if_any()
            try:
                if not self._record.mark_running(install_seconds, again=tries > 0):
                    raise Abandoned("it isn't this pod's any more")
                return
            except ClientError as error:
                # Named no version, a patch meets 409 only where others write in the same moments.
                if not is_away(error) and not (isinstance(error, ApiError) and error.is_conflict):
                    raise
                tries += 1
                self._log.line(str(error))
            self.interruption.pause(pause(tries))

    @property
    def _batch_deadline(self) -> float:
        return self._owned_at + self._installing.target.timeouts.batch_seconds

    def _test(self, installed: Installed) -> None:
        self._collection = self._collect()
        Testing(
            self._record,
            self._claims,
            self._reporter,
            turns=self._turns,
            installing=self._installing,
            installed=installed,
            tally=self._tally,
            supervisor=self._supervisor,
            interruption=self.interruption,
            waiting=self._waiting,
            batch_deadline=self._batch_deadline,
            environment=self._environment,
            collection=self._collection,
            clock=self._clock,
            log=self._log,
        ).run()

    def _collect(self) -> Collection | None:
        """Keeps artifacts, if the target says where."""
        artifacts = self._installing.target.artifacts
        store = self._installing.couriers.store(self._namespace, self._record.spec.target)
        if artifacts is None or store is None:
            return None
        return Collection(
            artifacts,
            store,
            namespace=self._namespace,
            target=self._record.spec.target,
            workdir=self._workdir,
            masks=self._installing.masks,
            paths=self._paths,
            clock=self._clock,
            log=self._log,
        )

    def _tell_of_the_lost(self, lost: str) -> None:
        """In the batch's status: its pod, and so its log, may soon be gone."""
        try:
            self._record.add(self._installing.masks.message(lost))
        except ClientError as error:
            self._log.line(f"the batch's status does not tell: {error}")

    def _seconds_to_store(self) -> float:
        """How long artifacts may still be stored, once all else is done."""
        stop = self.interruption.stop
        return 0.0 if stop.at_once else self.interruption.seconds_left(EXIT_BY) - 1.0

    def _close_driver(self) -> None:
        if self._installing.driver is not None:
            self._installing.driver.close()
