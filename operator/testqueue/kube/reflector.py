"""A reflector: keeps a copy of one resource's objects by a chunked list and a watch.

    list, in chunks ──▶ sink.replace ──▶ watch from its version ──▶ sink.apply / sink.remove
      ▲                                    │    ▲ cut off, timed out, malformed:
      └───── 410 Gone, or no progress ─────┘────┘ again from the last version seen

A replace also tells of what was deleted while nobody watched; so the sink is right after every list, whatever
was missed before. See https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from testqueue.kube.errors import ApiError, Unreachable
from testqueue.kube.session import PAGE, ApiSession, Object, backoff
from testqueue.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
logger = logging.getLogger(__name__)

#: Bounds of one watch request; the server ends it then, and a new one goes on from the last version.
WATCH_SECONDS: Final = (240, 300)
#: The server sends a bookmark about each minute, so a longer silence is a dead connection.
SILENCE_SECONDS: Final = 90.0
#: Watches in a row that the server answered with nothing but an error, after which the copy is listed anew.
_FRUITLESS_WATCHES: Final = 5


class Sink(Protocol[T]):
    """What a reflector feeds. Called from the event loop; must not block."""

    def replace(self, views: list[T], version: int) -> None:
        """These were all there are at that resourceVersion."""
        ...

    def apply(self, view: T) -> object:
        """This one was added or changed."""
        ...

    def remove(self, view: T) -> object:
        """This one was deleted, or left the selection; its content may be older than that."""
        ...


class _GoneError(Exception):
    """The last version seen is too old to watch from."""


class _CutError(Exception):
    """The watch broke off; it may be resumed. `away`: no answer came at all."""

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away


class Reflector(Generic[T]):
    """Feeds one resource's objects into a sink, for ever, whatever the server does."""

    def __init__(
        self,
        session: ApiSession,
        path: str,
        sink: Sink[T],
        read: Callable[[Object], T],
        *,
        field_selector: str = "",
        label_selector: str = "",
        page: int = PAGE,
        on_list: Callable[[], None] = lambda: None,
    ) -> None:
        """`read` makes the slim view of an object that the sink keeps; `on_list` is told of every list."""
        self.synced = asyncio.Event()
        self._session = session
        self._path = path
        self._sink = sink
        self._read = read
        self._field_selector = field_selector
        self._label_selector = label_selector
        self._page = page
        self._on_list = on_list
        self._version = ""
        self._about = about(resource=path.rsplit("/", 1)[-1])

    async def run(self) -> None:
        """List and watch until cancelled. `synced` is set after the first list, and stays so."""
        failures, said = 0, ""
        while True:
            try:
                await self._list()
                failures, said = 0, ""
                await self._watch()
            except _GoneError as error:
                logger.info("listing again: %s", error, extra=self._about)
            except (ApiError, Unreachable) as error:
                failures += 1
                advice = _advice(error)
                level = logging.DEBUG if advice == said else logging.WARNING  # said once is enough
                logger.log(level, "cannot list: %s", advice, extra=self._about)
                said = advice
                await asyncio.sleep(backoff(failures, first=0.5))

    async def _list(self) -> None:
        views: list[T] = []
        version = ""
        try:
            async for page in self._session.pages(
                self._path,
                field_selector=self._field_selector,
                label_selector=self._label_selector,
                limit=self._page,
            ):
                # Every chunk is read from the state of the first one; only views are kept, they are smaller.
                version = version or str(page.get("metadata", {}).get("resourceVersion", ""))
                views.extend(filter(None, map(self._view, page.get("items") or ())))
                await asyncio.sleep(0)
        except ApiError as error:
            if error.is_expired:
                raise _GoneError("the list took longer than the server keeps its state") from error
            raise
        if not version:
            raise Unreachable(f"{self._path}: the answer is no list", sent=True)
        self._version = version
        self._on_list()
        self._sink.replace(views, int(version))
        self.synced.set()

    async def _watch(self) -> None:
        failures, fruitless = 0, 0
        while True:
            before = self._version
            try:
                await self._watch_once()
                failures = fruitless = 0
                if self._version != before:
                    continue
            except _CutError as error:
                if self._version != before:
                    failures = fruitless = 0
                failures += 1
                # A server that is away has not forgotten the version: it says so itself if it has.
                fruitless += not error.away
                if fruitless >= _FRUITLESS_WATCHES:
                    raise _GoneError(f"watching made no progress: {error}") from error
                logger.debug("watch broke off: %s", error, extra=self._about)
            await asyncio.sleep(backoff(max(failures, 1), most=5))

    async def _watch_once(self) -> None:
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 (spreads the reconnects)
        }
        if self._field_selector:
            params["fieldSelector"] = self._field_selector
        if self._label_selector:
            params["labelSelector"] = self._label_selector
        try:
            async with self._session.stream(self._path, params, silence_seconds=SILENCE_SECONDS) as lines:
                async for line in lines:
                    self._take(line)
        except ApiError as error:
            if error.is_expired:
                raise _GoneError(str(error)) from error
            raise _CutError(str(error)) from error
        except Unreachable as error:
            raise _CutError(str(error), away=True) from error

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                self._take_error(obj)
            version = obj["metadata"]["resourceVersion"]
        except (ValueError, KeyError, TypeError) as error:
            raise _CutError(f"malformed event {line[:100]!r}") from error
        view = None if kind == "BOOKMARK" else self._view(obj)
        if view is not None:
            if kind == "DELETED":
                self._sink.remove(view)
            else:
                self._sink.apply(view)
        self._version = version

    def _view(self, obj: Object) -> T | None:
        """The object's view; None where it can't be read: one odd object must not stop the work on the others."""
        try:
            return self._read(obj)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            meta = obj.get("metadata", {})
            name = f"{meta.get('namespace')}/{meta.get('name')}"
            logger.error("skipping %s, which cannot be read: %r", name, error, extra=self._about)
            return None

    @staticmethod
    def _take_error(status: dict[str, Any]) -> None:
        if status.get("code") == 410:
            raise _GoneError(str(status.get("message") or "410 Gone"))
        raise _CutError(str(status.get("message") or status))


def _advice(error: ApiError | Unreachable) -> str:
    if isinstance(error, ApiError) and error.is_not_found:
        return f"{error}: the CustomResourceDefinitions are missing; kubectl apply -f crds/"
    if isinstance(error, ApiError) and error.status in {401, 403}:
        return f"{error}: grant the operator's user the rights in manifests/base"
    return str(error)
