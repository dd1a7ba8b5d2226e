"""From a job's status to the files of an attempt: which store, which key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qgjob.api.artifacts import Place
from qgjob.api.constants import TEST_TARGETS
from qgjob.cli import views
from qgjob.cli.exits import CliError

from .base import StoredFile, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qgjob.cli.session import Session

    from .base import Reader

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Folder:
    """One attempt's folder."""

    reader: Reader
    place: Place
    key: str
    attempt: int
    link: str

    def files(self) -> list[StoredFile]:
        """Its files, by name. Raises CliError, also where one has a name that could lead out of a folder."""
        found = self.reader.files(self.key)
        for file in found:
            check_name(file.name)
        return found

    def read(self, name: str) -> Iterator[bytes]:
        """One of the files, piece by piece. Raises CliError."""
        return self.reader.read(self.key, name)

    def url(self, name: str) -> str:
        """Where people open a file."""
        return self.place.url(self.key + name)


class Stores:
    """The targets' stores, each opened once. Use it as a context manager."""

    def __init__(self, session: Session, image: str | None = None) -> None:
        self._session = session
        self._image = image
        self._open: dict[str, tuple[Reader, Place]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for reader, _place in self._open.values():
            reader.close()

    def folder(self, job: Object, attempt: int | None = None) -> Folder:
        """The folder of that attempt, else of the newest that has one. Raises CliError where there is none."""
        name = views.name(job)
        attempts = {entry["number"]: entry for entry in views.field(job, "attempts")}
        with_any = [number for number, entry in attempts.items() if entry.get("artifacts")]
        if attempt is not None and attempt not in attempts:
            known = ", ".join(str(number) for number in sorted(attempts)) or "none"
            raise CliError(f"job {name} has no attempt {attempt} that is over (it has: {known})")
        if not with_any and attempt is None:
            what = "attempt of it is over yet" if not attempts else "attempt of it has any"
            raise CliError(
                f"job {name} has no artifacts: no {what}. "
                "A TestTarget keeps some where its spec.artifacts says"
            )
        entry = attempts[attempt if attempt is not None else max(with_any)]
        if not entry.get("artifacts"):
            raise CliError(f"attempt {entry['number']} of job {name} has no artifacts")
        reader, place = self._store_of(job, str(entry["artifacts"]))
        key = place.key(
            started=entry["startTime"], job=name, uid=job["metadata"]["uid"], attempt=entry["number"]
        )
        return Folder(reader, place, key, entry["number"], str(entry["artifacts"]))

    def _store_of(self, job: Object, link: str) -> tuple[Reader, Place]:
        from qgjob.client import ApiError

        name = str(job["spec"]["target"])
        if name in self._open:
            return self._open[name]
        try:
            target = self._session.client.get(TEST_TARGETS, name)
        except ApiError as error:
            if not error.is_not_found:
                raise
            raise CliError(f"target {name} is gone, which says how to reach {link}") from error
        artifacts: Mapping[str, Any] | None = target["spec"].get("artifacts")
        if artifacts is None:
            raise CliError(
                f"target {name} keeps no artifacts any more, and so does not say how to reach {link}"
            )
        place = Place.of(artifacts, job["metadata"]["namespace"], name)
        self._open[name] = self._reader(target, place), place
        return self._open[name]

    def _reader(self, target: Object, place: Place) -> Reader:
        artifacts = target["spec"]["artifacts"]
        if bucket := artifacts.get("s3"):
            from .bucket import BucketReader

            return BucketReader(self._session, bucket)
        from .volume import VolumeReader

        return VolumeReader(self._session, target, place.root, self._image)
